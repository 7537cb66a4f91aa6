"""Numbers, times and the weather in words: a table for each language."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Grammar:
    """The words of a language; "{}" stands for what is filled in.

    Attributes:
      below_twenty: the numbers 0 to 19.
      tens: 20, 30, … 90.
      tens_and_one: of a ten and a number below ten.
      hundred, hundred_and: of how many hundreds, and of these and the rest.
      hour: of a full hour's name.
      past, to: of what part of an hour, and the hour before or after.
      fives, minutes: what 5, 10, 20, 25 and what other minutes are, of their number.
      special: minutes with a name of their own, {minutes: name}.
      below_zero, degrees: of a number.
      winds: Beaufort's scale, 0 to 12.
      clouds: how much of the sky is covered, 0 to 8 eighths.
      weather: of degrees, wind and clouds.
    """

    below_twenty: tuple[str, ...]
    tens: tuple[str, ...]
    tens_and_one: str
    hundred: str
    hundred_and: str
    hour: str
    past: str
    to: str
    fives: str
    minutes: str
    special: dict[int, str]
    below_zero: str
    degrees: str
    winds: tuple[str, ...]
    clouds: tuple[str, ...]
    weather: str

    def number(self, number):
        """A whole number from 0 to 999 in words."""
        hundreds, rest = divmod(number, 100)
        if hundreds:
            named = self.below_twenty[hundreds]
            if not rest:
                return self.hundred.format(named)
            return self.hundred_and.format(named, self.number(rest))
        if rest < 20:
            return self.below_twenty[rest]
        tens, ones = divmod(rest, 10)
        named = self.tens[tens - 2]
        return self.tens_and_one.format(named, self.below_twenty[ones]) if ones else named

    def time(self, minute):
        """A time in words; minute: from twelve o'clock on, any whole number."""
        hour, minute = divmod(minute, 60)
        before, after = (self.below_twenty[(h - 1) % 12 + 1] for h in (hour, hour + 1))
        if minute == 0:
            return self.hour.format(before)
        if minute <= 30:
            return self.past.format(self._part(minute), before)
        return self.to.format(self._part(60 - minute), after)

    def _part(self, minutes):
        if minutes in self.special:
            return self.special[minutes]
        return (self.minutes if minutes % 5 else self.fives).format(self.number(minutes))

    def conditions(self, degrees, wind, cloud):
        """The weather in words: whole degrees from -99 to 99, Beaufort 0 to 12, eighths 0 to 8."""
        number = self.number(abs(degrees))
        number = self.below_zero.format(number) if degrees < 0 else number
        return self.weather.format(
            self.degrees.format(number), self.winds[wind], self.clouds[cloud]
        )


_ONES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("thir", "four", "fif", "six", "seven", "eigh", "nine")
ENGLISH = Grammar(
    below_twenty=("zero", *_ONES, "ten", "eleven", "twelve", *(f"{part}teen" for part in _TEENS)),
    tens=("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"),
    tens_and_one="{}-{}",
    hundred="{} hundred",
    hundred_and="{} hundred and {}",
    hour="{} o'clock",
    past="{} past {}",
    to="{} to {}",
    fives="{}",
    minutes="{} minutes",
    special={1: "one minute", 15: "a quarter", 30: "half"},
    below_zero="minus {}",
    degrees="{} degrees",
    winds=(
        "calm",
        "light air",
        "light breeze",
        "gentle breeze",
        "moderate breeze",
        "fresh breeze",
        "strong breeze",
        "near gale",
        "gale",
        "strong gale",
        "storm",
        "violent storm",
        "hurricane",
    ),
    clouds=(
        "clear sky",
        "one eighth cloud",
        *(f"{number} eighths cloud" for number in _ONES[1:7]),
        "overcast",
    ),
    weather="{}, {}, {}",
)
