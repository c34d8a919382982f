"use strict";
/* A click on the town's map fills in the position of a report; without scripts the fields are typed into. */
(() => {
  const form = document.querySelector("[data-report]");
  const { lng, lat, site } = form.elements;
  const picker = form.querySelector("[data-picker]");
  const map = ShouwangMap.map;
  const mark = L.circleMarker([0, 0], { radius: 9, color: "#ffd479", weight: 3, fillColor: "#ffd479", fillOpacity: .35, interactive: false });
  picker.hidden = false;
  function place(at) {
    mark.setLatLng(at).addTo(map).bringToFront();
  }
  map.on("click", (event) => {
    lng.value = event.latlng.lng.toFixed(6);
    lat.value = event.latlng.lat.toFixed(6);
    place(event.latlng);
  });
  function typed() {
    if (lng.value && lat.value && Number.isFinite(Number(lng.value)) && Number.isFinite(Number(lat.value))) place([Number(lat.value), Number(lng.value)]);
    else mark.remove();
  }
  for (const field of [lng, lat]) field.addEventListener("change", typed);
  site.addEventListener("change", () => {
    const at = ShouwangMap.placeOf(site.value);
    if (at) { map.setView(at, Math.max(map.getZoom(), 15)); if (!lng.value) place(at); }
  });
  ShouwangMap.load().then(typed).catch(() => { picker.hidden = true; });
})();
