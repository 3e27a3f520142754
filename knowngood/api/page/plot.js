// One KPI over time: its value in each window, its limit, and what happened meanwhile.

import { svg } from "./dom.js";
import { linear, timeTicks, valueTicks } from "./scale.js";
import { clock } from "./times.js";

const HEIGHT = 200;
const EDGE = { left: 46, right: 14, top: 34, bottom: 24 };
const BADGE = 20;

/**
 * Draw a plot, `width` pixels wide.
 *
 * `series`: lists of {at, value, verdict, text}; `limits`: list of {from, to, value}; `marks`: list
 * of {at, letter, kind}; `span`: {start, end}; times in ms. `show` writes a value in its unit.
 */
export function plot({
  id,
  title,
  description,
  width,
  span,
  series,
  limits,
  isFloor,
  marks,
  show,
}) {
  const points = series.flat();
  const highest = Math.max(
    ...points.map((point) => point.value),
    ...limits.map((limit) => limit.value),
    0,
  );
  const ticks = valueTicks(highest * 1.08);
  const x = linear(span.start, span.end, EDGE.left, width - EDGE.right);
  const y = linear(0, ticks.at(-1), HEIGHT - EDGE.bottom, EDGE.top);
  const frame = { x, y, width, ticks, span, show };
  return svg(
    "svg",
    {
      class: "plot",
      viewBox: `0 0 ${width} ${HEIGHT}`,
      height: HEIGHT,
      role: "img",
      "aria-labelledby": `${id}-title ${id}-desc`,
    },
    svg("title", { id: `${id}-title` }, title),
    svg("desc", { id: `${id}-desc` }, description),
    grid(frame),
    limits.map((limit) => beyond(limit, isFloor, frame)),
    marks.map((mark) =>
      svg("line", {
        class: `mark ${mark.kind}`,
        x1: x(mark.at),
        x2: x(mark.at),
        y1: EDGE.top - 8,
        y2: HEIGHT - EDGE.bottom,
      }),
    ),
    series.map((list, index) => curve(list, index, frame)),
    limits.length > 0 && label(limits[0], isFloor, frame),
    badges(marks, frame),
  );
}

function grid({ x, y, width, ticks, span, show }) {
  const length = span.end - span.start;
  const times = timeTicks(span.start, span.end, Math.max(2, Math.floor(width / 95)));
  return svg(
    "g",
    { class: "grid" },
    ticks.map((tick) => [
      svg("line", { x1: EDGE.left, x2: width - EDGE.right, y1: y(tick), y2: y(tick) }),
      svg("text", { x: EDGE.left - 6, y: y(tick) + 4, "text-anchor": "end" }, show(tick)),
    ]),
    times.map((tick) => {
      const anchor = x(tick) > width - 40 ? "end" : x(tick) < EDGE.left + 20 ? "start" : "middle";
      return svg("text", { x: x(tick), y: HEIGHT - 6, "text-anchor": anchor }, clock(tick, length));
    }),
  );
}

function beyond(limit, isFloor, { x, y, ticks }) {
  const [left, right, line] = [x(limit.from), x(limit.to), y(limit.value)];
  const [top, bottom] = isFloor ? [line, y(0)] : [y(ticks.at(-1)), line];
  return svg(
    "g",
    { class: "limit" },
    svg("rect", {
      x: left,
      y: top,
      width: Math.max(right - left, 0),
      height: Math.max(bottom - top, 0),
    }),
    svg("line", { x1: left, x2: right, y1: line, y2: line }),
  );
}

// On the left, where a watch begins: what breaks, breaks later.
function label(limit, isFloor, { x, y, show }) {
  const height = y(limit.value);
  const under = isFloor || height < EDGE.top + 14;
  const text = `${isFloor ? "at least" : "at most"} ${show(limit.value)}`;
  return svg(
    "text",
    { class: "limit-label", x: x(limit.from) + 6, y: under ? height + 14 : height - 6 },
    text,
  );
}

function curve(list, index, { x, y }) {
  const path = list
    .map((point) => `${x(point.at).toFixed(1)},${y(point.value).toFixed(1)}`)
    .join(" ");
  return svg(
    "g",
    { class: `curve nr${index}` },
    svg("polyline", { points: path }),
    list.map((point) => symbol(point, x(point.at), y(point.value))),
  );
}

// Each verdict has a shape of its own, for those who cannot tell the colours apart.
function symbol(point, x, y) {
  const shape =
    point.verdict === "breach"
      ? svg("path", { d: `M${x} ${y - 6.5}l6.5 6.5-6.5 6.5-6.5-6.5z` })
      : svg("circle", { cx: x, cy: y, r: point.verdict === "ok" ? 3.5 : 3 });
  shape.setAttribute("class", `point ${point.verdict}`);
  shape.append(svg("title", {}, point.text));
  return shape;
}

function badges(marks, { x, width }) {
  let free = EDGE.left - BADGE;
  const placed = marks.map((mark) => {
    const place = Math.max(x(mark.at), free + BADGE);
    free = place;
    return { ...mark, place };
  });
  // Those that would leave on the right push the others back.
  let limit = width - BADGE / 2;
  for (const mark of placed.toReversed()) {
    mark.place = Math.min(mark.place, limit);
    limit = mark.place - BADGE;
  }
  return placed.map((mark) =>
    svg(
      "g",
      { class: `flag ${mark.kind}` },
      svg("line", { x1: mark.place, x2: x(mark.at), y1: 18, y2: EDGE.top - 8 }),
      svg("circle", { cx: mark.place, cy: 11, r: 9 }),
      svg("text", { x: mark.place, y: 15, "text-anchor": "middle" }, mark.letter),
    ),
  );
}
