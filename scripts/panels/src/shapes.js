/** The SVG path of a ring's part; angles in radians, clockwise from the top. */
export function arc(x, y, inner, outer, begin, end) {
  const point = (radius, angle) => `${x + radius * Math.sin(angle)},${y - radius * Math.cos(angle)}`;
  const large = end - begin > Math.PI ? 1 : 0;
  return [
    `M${point(outer, begin)}`,
    `A${outer},${outer} 0 ${large} 1 ${point(outer, end)}`,
    `L${point(inner, end)}`,
    `A${inner},${inner} 0 ${large} 0 ${point(inner, begin)}`,
    'Z',
  ].join(' ');
}

/** A text that fits into so many pixels of a 12 px font, cut off with an ellipsis if need be. */
export function shortened(text, pixels) {
  const room = Math.max(2, Math.floor(pixels / 6.5));
  return text.length > room ? `${text.slice(0, room - 1)}…` : text;
}
