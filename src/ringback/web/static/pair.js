"use strict";
// The code stands in the fragment, which the browser keeps to itself.
const code = decodeURIComponent(location.hash.slice(1)).replace(/[^0-9A-Za-z-]/g, "");
const server = location.origin + location.pathname.replace(/\/pair\/?$/, "");
const command = document.getElementById("command");
const copy = document.getElementById("copy");

if (code) {
  command.textContent =
    `pkg install -y python termux-api curl && curl -fsSo agent.pyz '${server}/agent.pyz' &&` +
    ` python agent.pyz pair '${server}/pair#${code}'`;
  copy.hidden = false;
  document.getElementById("hint").textContent = "The code is good once and for 5 minutes.";
} else {
  command.textContent = "ringback device pair --account NAME --name PHONE";
  document.getElementById("hint").textContent =
    "This address has no code. Whoever runs the server makes one with the line above, there and not on the phone.";
}

copy.addEventListener("click", async () => {
  const copied = document.getElementById("copied");
  try {
    await navigator.clipboard.writeText(command.textContent);
    copied.textContent = "Copied.";
  } catch {
    // Plain http in a home network has no clipboard: the line is selected, to be copied by hand.
    getSelection().selectAllChildren(command);
    copied.textContent = "Selected: copy it now.";
  }
});
