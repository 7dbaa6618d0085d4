// The page: chooses the view, the theme and the key.

import { askForKey, key } from "./api.js";
import { listView } from "./list.js";
import { streamView } from "./stream.js";
import { themeSwitch } from "./theme.js";

const main = document.getElementById("main");
let leave = () => {};

function route() {
  leave();
  const [, name] = /^#\/streams\/([A-Za-z0-9_-]{1,64})$/.exec(location.hash) ?? [];
  leave = name === undefined ? listView(main) : streamView(main, name);
}

function keyDialog() {
  const dialog = document.getElementById("key-dialog");
  const field = document.getElementById("key-field");
  const said = document.getElementById("key-error");
  let dismissed = false;

  const open = () =>
    new Promise((resolve) => {
      field.value = "";
      dialog.returnValue = "";
      dialog.showModal();
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "use"), { once: true });
    });

  document.getElementById("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (!/^[!-~]*$/.test(text)) {
      said.textContent = "A key has letters, digits and signs, but no spaces.";
      return;
    }
    key.set(text);
    field.value = "";
    dialog.close("use");
  });
  document.getElementById("key-cancel").addEventListener("click", () => dialog.close(""));

  askForKey(async (problem, refused) => {
    if (dismissed) return false;
    said.textContent = refused ? problem.message : "";
    dismissed = !(await open());
    return !dismissed;
  });
  document.getElementById("key-button").addEventListener("click", async () => {
    said.textContent = "";
    dismissed = false;
    if (await open()) route();
  });
}

themeSwitch(document.getElementById("theme-button"));
keyDialog();
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address says which view is shown
  main.focus();
});
window.addEventListener("hashchange", () => {
  route();
  main.focus();
});
route();
