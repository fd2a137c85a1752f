// Says that something which is shown has changed. However often it is said, the page is drawn once, before the next frame.

let draw = () => {};
let waits = false;

/** Sets what draws the page. */
export function onChange(callback) {
  draw = callback;
}

export function changed() {
  if (waits) return;
  waits = true;
  // A page in the background has no frames, but its title and its announcements matter there, too.
  const later = document.hidden ? (callback) => setTimeout(callback, 200) : requestAnimationFrame;
  later(() => {
    waits = false;
    draw();
  });
}
