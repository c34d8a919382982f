"""The machine code of the kernels, made ahead: compiled at the first reading it would let that one wait for seconds."""

import numpy as np

from core.journal import Offset, Record, RecordKind
from detectors.anomaly.cheap import CheapTier
from detectors.rules import load_packs
from detectors.safety import SafetyDetector
from devices.device_types import DeviceType, load_device_types
from devices.registry import Registry
from ingest.words import Block

_DEVICES = 2  # of fewer an array's part is as closely packed as a whole one, which is another type to the compiler


def compile_kernels() -> None:
    """Have everything that judges readings compiled, in a town of two devices.

    Where a cache can be written the next process loads it within a tenth of a second.
    """
    detector = SafetyDetector(_small_town(), load_packs())
    series, moments = np.arange(_DEVICES, dtype=np.int32), np.ones(_DEVICES, np.int64)
    block = Block(series, moments, moments, np.zeros(_DEVICES), np.zeros(_DEVICES, np.uint16))
    detector.apply(Record(Offset(0, 1), 1, RecordKind.BLOCK, block.to_bytes()))
    detector.apply(Record(Offset(0, 2), 1, RecordKind.TICK, b""))
    CheapTier(_DEVICES).read(series, moments, np.zeros(_DEVICES), np.zeros(_DEVICES, np.int8))


def _small_town() -> Registry:
    types = load_device_types()
    kind: DeviceType = next(iter(types.values()))
    codes = [f"D-{number}" for number in range(_DEVICES)]
    metrics = list(kind.metrics)
    count = len(metrics)
    moments = np.zeros(_DEVICES, np.int64)
    return Registry(
        id="",
        version=0,
        types=types,
        gateways={},
        gateway_codes=[],
        device_codes=codes,
        device_index={code: place for place, code in enumerate(codes)},
        gateway=np.full(_DEVICES, -1, np.int32),
        type_code=[kind.code] * _DEVICES,
        site=[""] * _DEVICES,
        state=["in_service"] * _DEVICES,
        state_until=moments,
        in_service_at=moments,
        interval=moments + 1,
        silence=moments + 1,
        attributes={},
        metrics=metrics,
        series_of={
            code: {metric: place * count + each for each, metric in enumerate(metrics)}
            for place, code in enumerate(codes)
        },
        device=np.repeat(np.arange(_DEVICES, dtype=np.int32), count),
        metric=np.tile(np.arange(count, dtype=np.int32), _DEVICES),
        low=np.full(_DEVICES * count, -np.inf),
        high=np.full(_DEVICES * count, np.inf),
        late=np.zeros(_DEVICES * count, np.int64),
    )


if __name__ == "__main__":
    compile_kernels()
