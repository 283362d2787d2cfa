"""What every comparison gives back: an interval, and a difference with its interval."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A confidence interval, ends included."""

    low: float
    high: float

    def __neg__(self) -> "Interval":
        return Interval(-self.high, -self.low)

    def clip(self, bound: float) -> "Interval":
        """Cut to [-bound, bound], the differences that can occur."""
        return Interval(max(self.low, -bound), min(self.high, bound))

    def inside(self, bound: float) -> bool:
        """True when every value is smaller than ``bound`` in size, or equal to it."""
        return -bound <= self.low and self.high <= bound

    def excludes_zero(self) -> bool:
        """True when zero is not one of the values."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Difference:
    """A difference of two means, in points, with what a t test says of it."""

    estimate: float
    standard_error: float
    df: float
    """Degrees of freedom of the standard error."""
    p_value: float
    """Two-sided, for no difference."""
    interval: Interval
