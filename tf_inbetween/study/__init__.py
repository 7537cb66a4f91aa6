"""The study: a table of questions, their trainings, and the page of results."""
