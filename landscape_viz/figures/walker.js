// A walker on the drawn surface: dropped where the reader clicks, it descends the bilinear interpolation of the grid.
"use strict";
const walker = (() => {
  const { x, y, z, name } = JSON.parse(document.getElementById("grid").textContent);
  const plot = document.getElementById("section");
  const rate = document.getElementById("rate"), said = document.getElementById("said");
  let path = [], trace = -1, timer = null;

  function cell(axis, value) { // the cell that holds a coordinate, and the share of it before that
    let i = 0;
    while (i < axis.length - 2 && value >= axis[i + 1]) i++;
    return [i, (value - axis[i]) / (axis[i + 1] - axis[i])];
  }
  function surface(px, py) { // the height and its gradient; z is [row of y][column of x]
    const [i, s] = cell(x, px), [j, t] = cell(y, py);
    const corners = [z[j][i], z[j][i + 1], z[j + 1][i], z[j + 1][i + 1]];
    if (corners.includes(null)) return null;
    const [a, b, c, d] = corners;
    return {
      height: (a * (1 - s) + b * s) * (1 - t) + (c * (1 - s) + d * s) * t,
      gx: ((b - a) * (1 - t) + (d - c) * t) / (x[i + 1] - x[i]),
      gy: ((c - a) * (1 - s) + (d - b) * s) / (y[j + 1] - y[j]),
    };
  }
  function reflected(value, axis) {
    const low = axis[0], width = axis[axis.length - 1] - low;
    const m = (((value - low) % (2 * width)) + 2 * width) % (2 * width);
    return low + (m > width ? 2 * width - m : m);
  }
  function step(n = 1) {
    const eta = Number(rate.value);
    for (let k = 0; k < n && path.length; k++) {
      const here = path[path.length - 1], slope = surface(here[0], here[1]);
      const next = slope && [reflected(here[0] - eta * slope.gx, x), reflected(here[1] - eta * slope.gy, y)];
      const there = next && surface(...next);
      if (!there) { stop(); said.textContent = "the walker fell into a hole"; return; }
      path.push([...next, there.height]);
    }
    draw();
  }
  function draw() {
    const columns = [0, 1, 2].map((k) => path.map((point) => point[k]));
    const line = { x: [columns[0]], y: [columns[1]], z: [columns[2]] };
    if (trace < 0) {
      trace = plot.data.length;
      Plotly.addTraces(plot, {
        type: "scatter3d", mode: "lines+markers", name: "walker", showlegend: false, x: columns[0], y: columns[1], z: columns[2],
        marker: { size: 3, color: "#000000" }, line: { width: 4, color: "#000000" }, hoverinfo: "x+y+z",
      });
    } else Plotly.restyle(plot, line, [trace]);
    if (path.length) said.textContent = `step ${path.length - 1}, ${name} ${path[path.length - 1][2].toPrecision(4)}`;
  }
  function stop() { clearInterval(timer); timer = null; }
  function drop(px, py) {
    stop();
    const start = surface(px, py);
    if (!start) return;
    path = [[px, py, start.height]];
    draw();
  }
  function go() { stop(); timer = setInterval(() => (path.length > 500 ? stop() : step()), 60); }
  plot.on("plotly_click", (event) => {
    const point = event.points[0];
    if (point.data.type === "surface") { drop(point.x, point.y); go(); }
  });
  document.getElementById("drop").onclick = () => {
    const at = (axis) => axis[0] + Math.random() * (axis[axis.length - 1] - axis[0]);
    drop(at(x), at(y)); go();
  };
  document.getElementById("stop").onclick = stop;
  return { drop, step, stop, path: () => path };
})();
