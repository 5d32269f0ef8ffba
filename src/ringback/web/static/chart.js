// The overview: calls per day as stacked bars, and moving in the heat map by the arrow keys.
"use strict";

const KINDS = ["missed", "incoming", "outgoing"];

function colour(name) {
  // A canvas reads no CSS variables: ask an element that has the colour.
  const probe = document.querySelector(`.legend .${name}`);
  return getComputedStyle(probe).color;
}

function draw() {
  const place = document.getElementById("chart");
  const data = JSON.parse(document.getElementById("chart-data").textContent);
  place.replaceChildren();
  const quiet = getComputedStyle(document.querySelector(".quiet")).color;
  const line = getComputedStyle(place).borderTopColor;
  const days = data.days.map((_, n) => n);
  const sums = days.map(() => 0);
  const stacked = KINDS.map((kind) => data[kind].map((count, n) => (sums[n] += count)));
  const bars = uPlot.paths.bars({ size: [0.7, 28] });
  // The tallest is drawn first, the others stand before it.
  const series = [...KINDS].reverse().map((kind) => {
    const tone = colour(kind);
    return { label: kind, stroke: tone, fill: tone, width: 0, paths: bars, points: { show: false } };
  });
  const axis = { stroke: quiet, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: "13px system-ui" };
  const chart = new uPlot({
    width: place.clientWidth, height: 220, legend: { show: false }, padding: [12, 8, 0, 0],
    cursor: { drag: { x: false, y: false }, y: false, points: { show: false } },
    scales: { x: { time: false, range: [-0.6, days.length - 0.4] }, y: { range: (_, __, most) => [0, Math.max(4, most * 1.1)] } },
    axes: [
      { ...axis, grid: { show: false }, values: (_, splits) => splits.map((n) => (Number.isInteger(n) ? data.names[n] : "")), space: 90 },
      { ...axis, size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000] },
    ],
    series: [{}, ...series],
  }, [days, ...stacked.reverse()], place);
  chart.over.addEventListener("click", () => {
    const day = data.days[chart.cursor.idx];
    if (day) location.href = `${place.dataset.address}?from=${day}&to=${day}`;
  });
}

addEventListener("load", draw);
addEventListener("resize", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

document.addEventListener("keydown", (event) => {
  const row = event.target.closest?.("[data-row]");
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!row || !step) return;
  const cells = [...row.querySelectorAll("a")];
  const next = cells[cells.indexOf(event.target) + step];
  if (!next) return;
  event.preventDefault();
  event.target.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});
