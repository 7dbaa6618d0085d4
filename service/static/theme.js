// Light or dark: as the system says, unless the switch says otherwise.

const THEME = "nobacktrack.theme";
const CHOICES = ["auto", "light", "dark"];
const NAMES = { auto: "Theme: auto", light: "Theme: light", dark: "Theme: dark" };

const current = () => (CHOICES.includes(localStorage.getItem(THEME)) ? localStorage.getItem(THEME) : "auto");

function apply(button) {
  const choice = current();
  if (choice === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  button.textContent = NAMES[choice];
  document.dispatchEvent(new Event("theme"));
}

/** Let a button go through the choices. Whoever draws with colours listens to the document's event `theme`. */
export function themeSwitch(button) {
  button.addEventListener("click", () => {
    localStorage.setItem(THEME, CHOICES[(CHOICES.indexOf(current()) + 1) % CHOICES.length]);
    apply(button);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => apply(button));
  apply(button);
}
