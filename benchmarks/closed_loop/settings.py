"""
What one run on real components is told.
"""

from dataclasses import dataclass

SCALERS = ("hpa", "floor", "external", "custom")
"""HPA alone, and HPA with hints by each door: its own floor, an external metric, and a metric of the forecast itself."""


@dataclass(frozen=True, slots=True)
class Settings:
    """
    One run.

    Attributes:
        load: See `scene.load`; `recorded-` and a file's name for a recording.
        scaler: One of `SCALERS`.
        minutes: Real ones that are scored.
        warm_up_minutes: Real ones before: history is fetched, a model trained, trust earned.
        history_hours: Real ones, with forecasts; a recording may have fewer than were asked for.
        factor: How much faster everything is.
        seed: Of load and simulation; of a recording, how many days before its last whole one are scored.
        share: What a replica carries, as hints are told, in its full capacity.
        lead: Lead time in seconds of the model's world.
        quantile: Of the forecast.
        from_hour: Of the model's day, when the scored time begins.
        training_seconds: Wall time that a training may take.
        trust: `earned` as in life; `always` to see what hints do by themselves.
    """

    load: str
    scaler: str
    minutes: float
    warm_up_minutes: float
    history_hours: float
    factor: float
    seed: int
    share: float
    lead: float
    quantile: float
    from_hour: float
    training_seconds: int
    trust: str

    @property
    def has_forecasts(self) -> bool:
        """Whether there is more than HPA alone."""
        return self.scaler != "hpa"

    @property
    def name(self) -> str:
        """Of the file with what came of it: another load, scaler, seed or kind of trust is another file."""
        always = "-trusted" if self.trust == "always" and self.has_forecasts else ""
        return f"{self.load}-{self.scaler}{always}-{self.seed}"
