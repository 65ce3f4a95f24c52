// Dragging an item of a list to another's place: with a mouse, with a finger, with a pen.

let dragged = null;

/** Has an item be dragged by its grip, and take in others. `drop` is called with the item that was dragged and the one
 * whose place it is to take. */
export function makeDraggable(item, grip, drop) {
  grip.addEventListener("dragstart", (event) => {
    dragged = item;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", item.dataset.plugin);
    event.dataTransfer.setDragImage(item, 16, 16);
    item.classList.add("dragged");
  });
  grip.addEventListener("dragend", () => {
    item.classList.remove("dragged");
    dragged = null;
  });
  item.addEventListener("dragover", (event) => {
    if (dragged === null) return;
    event.preventDefault();
    item.classList.add("over");
  });
  item.addEventListener("dragleave", () => item.classList.remove("over"));
  item.addEventListener("drop", (event) => {
    event.preventDefault();
    item.classList.remove("over");
    if (dragged !== null && dragged !== item) drop(dragged, item);
  });
  grip.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse" && grip.draggable) follow(item, drop);
  });
}

/** Fingers and pens have no such events: the item follows them from place to place. */
function follow(item, drop) {
  const end = new AbortController();
  item.classList.add("dragged");
  // At the window: the item is taken out of the page and put back at each move.
  const listen = (kind, listener) => window.addEventListener(kind, listener, { signal: end.signal });
  listen("pointermove", ({ clientX, clientY }) => {
    const target = document.elementFromPoint(clientX, clientY)?.closest(`.${item.classList[0]}`);
    if (!target || target === item) return;
    const { top, bottom } = target.getBoundingClientRect();
    const isBelow = item.getBoundingClientRect().top < top;
    // Beyond its middle: else two of different heights would change places for ever.
    if (isBelow === clientY > (top + bottom) / 2) drop(item, target);
  });
  const over = () => {
    end.abort();
    item.classList.remove("dragged");
  };
  listen("pointerup", over);
  listen("pointercancel", over);
}
