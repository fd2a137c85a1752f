// Asks again and again: every two seconds while answers come, ever more slowly while they do not.

const PERIOD_MS = 2000;
const LONGEST_MS = 30_000;

/**
 * Calls `ask` until the page is closed. `onAnswer(value)` and `onTrouble(error, waitMs)` tell how it went.
 * Returns a function that asks at once.
 */
export function poll(ask, onAnswer, onTrouble) {
  let timer = null;
  let failures = 0;
  let asking = false;
  let again = false;

  async function turn() {
    if (asking) {
      again = true;
      return;
    }
    clearTimeout(timer);
    asking = true;
    let wait = PERIOD_MS;
    try {
      const value = await ask();
      failures = 0;
      onAnswer(value);
    } catch (error) {
      failures += 1;
      wait = Math.min(LONGEST_MS, PERIOD_MS * 2 ** (failures - 1));
      onTrouble(error, wait);
    }
    asking = false;
    timer = setTimeout(turn, again ? 0 : wait);
    again = false;
  }

  // Browsers slow down timers of pages in the background; who comes back wants to see the present.
  document.addEventListener('visibilitychange', () => document.hidden || turn());
  window.addEventListener('online', turn);
  turn();
  return turn;
}
