"use strict";
// Where the tiles of a treemap lie.
const layout = (() => {
  const DELETED = 3;
  const PIN = 90; // the least square pixels of what survives,
  const STRIP = 20; // and the least width of the strip in which they lie
  const SPECK = 24; // what is smaller is drawn in sum
  const MOST = 4000; // the most tiles of a directory
  const isDeleted = (node) => node.fate === DELETED;

  // Squarified: rows along the shorter side, each as long as the tiles in it
  // become more square by one more. Areas fall, and sum up to the rectangle.
  function squarify(items, x, y, w, h) {
    let at = 0;
    while (at < items.length && w > 0 && h > 0) {
      const side = Math.min(w, h);
      let sum = 0, end = at, worst = Infinity;
      while (end < items.length) {
        const next = sum + items[end].area;
        const ratio = Math.max((side * side * items[at].area) / (next * next), (next * next) / (side * side * items[end].area));
        if (ratio > worst) break;
        worst = ratio;
        sum = next;
        end++;
      }
      const depth = Math.min(sum / side, Math.max(w, h));
      let along = 0;
      for (const item of items.slice(at, end)) {
        const length = (item.area / sum) * side;
        item.rect = w >= h ? [x, y + along, depth, length] : [x + along, y, length, depth];
        along += length;
      }
      if (w >= h) { x += depth; w -= depth; } else { y += depth; h -= depth; }
      at = end;
    }
  }

  // What is too small to be drawn one by one. It is no node of the tree.
  function rest(directory, fate) {
    return {
      index: -1, parent: directory.index, name: "", kind: "", bytes: 0, files: 0, live: 0, fate, by: [], folded: 0, children: [],
      get path() { return `${directory.index ? directory.path : ""}/${this.folded.toLocaleString("en")} more`; },
    };
  }

  // The children of a directory with their areas in a rectangle: survivors are
  // never too small to be seen, and specks of one fate become one.
  function portions(node, w, h, isShown, weight) {
    const area = w * h, side = Math.min(w, h);
    const shown = node.children.filter(isShown);
    let total = shown.reduce((sum, child) => sum + weight(child), 0);
    const weigh = total ? weight : () => 1;
    total = total || shown.length || 1;
    const alive = shown.filter((child) => !isDeleted(child));
    const tiny = alive.filter((child) => (weigh(child) / total) * area < STRIP * side).length || 1;
    const least = Math.min(Math.max(PIN, (STRIP * side) / tiny), area / 4 / (alive.length || 1));
    const speck = Math.max(SPECK, area / MOST);
    const items = [];
    const specks = [];
    for (const child of shown) {
      const exact = (weigh(child) / total) * area;
      const drawn = isDeleted(child) ? exact : Math.max(exact, least);
      if (drawn >= speck) {
        items.push({ node: child, area: drawn });
        continue;
      }
      const together = (specks[child.fate] ??= { node: rest(node, child.fate), area: 0 });
      together.area += drawn;
      together.node.folded += child.folded || 1;
      for (const sum of ["bytes", "files", "live"]) together.node[sum] += child[sum];
    }
    items.push(...specks.filter((together) => together && together.area >= 4));
    const sum = items.reduce((sum, item) => sum + item.area, 0) || 1;
    for (const item of items) item.area *= area / sum;
    return items.sort((a, b) => b.area - a.area || a.node.index - b.node.index);
  }

  return { squarify, portions };
})();
