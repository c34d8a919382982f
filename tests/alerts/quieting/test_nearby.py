"""Sites near a point: none within the radius is missing, however cells are cut."""

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.nearby import Nearby
from devices.geometry import distance_m

POINTS = st.tuples(st.floats(120.42, 120.45), st.floats(31.43, 31.46))


@settings(deadline=None)
@given(st.lists(POINTS, max_size=20), POINTS, st.sampled_from([0.0, 150.0, 300.0, 2_000.0]))
def test_no_site_within_the_radius_is_missing(
    points: list[tuple[float, float]], here: tuple[float, float], metres: float
) -> None:
    nearby = Nearby((f"S{n}", *point) for n, point in enumerate(points))
    found = nearby.sites(*here, metres)
    assert {f"S{n}" for n, point in enumerate(points) if distance_m(*here, *point) <= metres} <= found
    far = {f"S{n}" for n, point in enumerate(points) if distance_m(*here, *point) > 1.5 * metres + 1}
    assert not far & found
