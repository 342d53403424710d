// The switches of a section's page: which metric is the height, a logarithmic height, and contours seen from above.
"use strict";
const switches = (() => {
  const { x, y, metrics, heights, name } = JSON.parse(document.getElementById("grid").textContent);
  const plot = document.getElementById("section");
  const log = document.getElementById("log"), contour = document.getElementById("contour");
  const metric = document.getElementById("metric"), place = plot.data.findIndex((trace) => trace.name === "trained point");
  const far = plot.clientWidth < 600 ? 1.5 : 1; // a narrow window is seen from further away
  const aside = { x: 1.8 * far, y: -1.8 * far, z: 1.1 * far };
  const pressed = (button) => button.getAttribute("aria-pressed") === "true";
  const positive = (rows) => rows.every((row) => row.every((z) => z === null || z > 0));
  const logarithm = (rows) => rows.map((row) => row.map((z) => (z === null ? null : Math.log10(z))));

  function show() {
    const shown = metric ? metric.value : name, rows = heights[shown];
    log.disabled = !positive(rows);
    const scale = pressed(log) && !log.disabled, flat = pressed(contour);
    const colours = scale ? logarithm(rows) : rows, point = place >= 0 ? [at_the_point(shown)] : [];
    Plotly.update(plot, {
      z: [rows, point], surfacecolor: [colours, null], "colorbar.title.text": [(scale ? "log10 of " : "") + metrics[shown], null],
      "contours.z.show": [flat, null], "contours.z.color": ["#ffffff", null], "contours.z.highlight": [!flat, null],
    }, {
      "scene.zaxis.type": scale ? "log" : "linear", "scene.zaxis.title.text": metrics[shown], "scene.zaxis.autorange": true,
      "scene.camera.projection.type": flat ? "orthographic" : "perspective",
      "scene.camera.eye": flat ? { x: 0, y: -0.001, z: 2 * far } : aside,
      "scene.camera.up": flat ? { x: 0, y: 1, z: 0 } : { x: 0, y: 0, z: 1 },
    }, place >= 0 ? [0, place] : [0]);
    const other = shown !== name; // the walker descends what the page was made for
    document.getElementById("drop").disabled = other;
    if (other) walker.stop();
  }
  function at_the_point(shown) { // the height at the trained point, which is a point of the grid
    return heights[shown][y.indexOf(0)][x.indexOf(0)];
  }
  for (const button of [log, contour]) {
    button.onclick = () => { button.setAttribute("aria-pressed", String(!pressed(button))); show(); };
  }
  if (metric) metric.onchange = show;
  if (far > 1) Plotly.relayout(plot, { "scene.camera.eye": aside });
  return { show };
})();
