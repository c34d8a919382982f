"use strict";
/* One small chart a rule: the share of its judged alerts that were real, week by week. */
(() => {
  const HEIGHT = 44;
  const SECONDS = 1e6;

  function draw(box) {
    const weeks = JSON.parse(box.dataset.precision);
    const at = weeks.map((week) => week[0] / SECONDS);
    const share = weeks.map((week) => (week[1] === null ? null : week[1] * 100));
    const plot = new uPlot({
      width: box.clientWidth || 160, height: HEIGHT,
      padding: [4, 6, 4, 6], legend: { show: false }, cursor: { show: false }, axes: [{ show: false }, { show: false }],
      scales: { x: { time: false }, y: { range: [-4, 104] } },
      series: [{}, { stroke: "#7fc4ff", width: 1.6, spanGaps: true, points: { show: true, size: 5, fill: "#7fc4ff" } }],
    }, [at, share], box);
    new ResizeObserver(() => plot.setSize({ width: box.clientWidth || 160, height: HEIGHT })).observe(box);
    box.title = weeks.map((week) => `${Shouwang.wall(week[0]).slice(0, 5)}: ${week[2]} / ${week[3]}`).join("\n");
  }

  for (const box of document.querySelectorAll("[data-precision]")) draw(box);
})();
