"""Moments, durations and figures for people, as CLDR writes them in a language and a time zone."""

from __future__ import annotations

from datetime import date, datetime
from datetime import time as day_time
from typing import Final

from babel.dates import format_date, format_datetime, format_skeleton, format_time, format_timedelta, get_day_names
from babel.numbers import format_decimal, format_percent

from ringback.times import DAY_MS, now_ms, zone
from ringback.web.pages.language import locale, translations

MINUTE_MS: Final = 60_000


class Formats:
    """How values are shown to somebody."""

    def __init__(self, language: str, time_zone: str) -> None:
        self._locale, self._zone = locale(language), zone(time_zone)
        self._gettext = translations(language)

    def moment(self, ms: int | None) -> str:
        """A day and time: `Nov 26, 2026, 2:03 PM`."""
        return "" if ms is None else format_datetime(self._local(ms), "medium", locale=self._locale)

    def iso(self, ms: int) -> str:
        """For programs that read the page."""
        return self._local(ms).isoformat(timespec="seconds")

    def when(self, ms: int | None) -> str:
        """Relative within a day, else the date with the time."""
        if ms is None:
            return ""
        age = now_ms() - ms
        if 0 <= age < MINUTE_MS:
            _ = self._gettext.gettext
            return _("just now")
        if 0 <= age < DAY_MS:
            return format_timedelta(-(age // 1_000), add_direction=True, locale=self._locale, threshold=0.9)
        local = self._local(ms)
        same_year = local.year == datetime.now(self._zone).year
        day = (
            format_skeleton("MMMd", local, locale=self._locale)
            if same_year
            else format_date(local, "medium", locale=self._locale)
        )
        return f"{day}, {format_time(local, 'short', locale=self._locale)}"

    def day(self, day: date) -> str:
        """A day: `Thu, Nov 26`."""
        return format_skeleton("MMMEd", day, locale=self._locale)

    def exact(self, ms: int, precise: int) -> str:
        """With seconds, and the zone."""
        return format_datetime(self._local(ms), "full" if precise else "long", locale=self._locale)

    def instant(self, text: str) -> str:
        """The day and time of a moment in RFC 3339."""
        return self.moment(int(datetime.fromisoformat(text).timestamp() * 1_000))

    def time(self, ms: int) -> str:
        """A time of day: `2:03 PM`."""
        return format_time(self._local(ms), "short", locale=self._locale)

    def long_day(self, day: date) -> str:
        """A day with its year."""
        return format_date(day, "long", locale=self._locale)

    def all_weekdays(self) -> list[tuple[str, str]]:
        """Number and name of each weekday, Monday first."""
        return [(str(number), self.weekday(number)) for number in range(1, 8)]

    def all_hours(self) -> list[tuple[str, str]]:
        """Number and name of each hour."""
        return [(str(hour), self.hour(hour)) for hour in range(24)]

    def weekdays(self) -> list[str]:
        """The names of the days, Monday first."""
        names = get_day_names("abbreviated", locale=self._locale)
        return [names[day] for day in range(7)]

    def weekday(self, number: int) -> str:
        """The whole name of a day; 1 is Monday."""
        return str(get_day_names("wide", locale=self._locale)[number - 1])

    def hour(self, hour: int) -> str:
        """An hour of the day: `2 PM`."""
        return format_time(day_time(hour), "short", locale=self._locale)

    def duration(self, seconds: int) -> str:
        """`4 min 05 s`."""
        hours, rest = divmod(seconds, 3_600)
        minutes, rest = divmod(rest, 60)
        _ = self._gettext.gettext
        if hours:
            return _("%(hours)s h %(minutes)s min") % {"hours": self.number(hours), "minutes": f"{minutes:02}"}
        if minutes:
            return _("%(minutes)s min %(seconds)s s") % {"minutes": minutes, "seconds": f"{rest:02}"}
        return _("%(seconds)s s") % {"seconds": rest}

    def number(self, value: float) -> str:
        """A figure with its groups."""
        return format_decimal(value, locale=self._locale)

    def percent(self, share: float) -> str:
        """A share of one."""
        return format_percent(share, locale=self._locale)

    def _local(self, ms: int) -> datetime:
        return datetime.fromtimestamp(ms / 1_000, self._zone)
