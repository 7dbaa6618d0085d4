// Light or dark: as the system is set, unless the button chooses.

const THEME = "nobacktrack.theme";
const CHOICES = ["auto", "light", "dark"];
const NAMES = { auto: "Theme: auto", light: "Theme: light", dark: "Theme: dark" };

// A browser may forbid storage: then a choice lasts until the page is closed.
let chosen = "auto";
try {
  chosen = localStorage.getItem(THEME);
} catch {}

const current = () => (CHOICES.includes(chosen) ? chosen : "auto");

function choose(choice) {
  chosen = choice;
  try {
    localStorage.setItem(THEME, choice);
  } catch {}
}

function apply(button) {
  const choice = current();
  if (choice === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  button.textContent = NAMES[choice];
  document.dispatchEvent(new Event("theme"));
}

/** Let a button go through the choices. A change sends the event `theme` to the document. */
export function themeSwitch(button) {
  button.addEventListener("click", () => {
    choose(CHOICES[(CHOICES.indexOf(current()) + 1) % CHOICES.length]);
    apply(button);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => apply(button));
  apply(button);
}
