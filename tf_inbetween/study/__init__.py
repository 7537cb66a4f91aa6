"""The study: a table of questions, their trainings, and the pages of results."""
