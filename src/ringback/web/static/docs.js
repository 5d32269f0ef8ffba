// The page of the API's documentation.
const place = document.getElementById("docs");
const theme = document.documentElement.dataset.theme;
const dark = matchMedia("(prefers-color-scheme: dark)");
const colour = () => document.documentElement.classList.toggle("dark-mode", theme ? theme === "dark" : dark.matches);
dark.addEventListener("change", colour);
colour();

const answer = await fetch(`${place.dataset.root}/openapi.json`);
const spec = await answer.json();
// Requests go to the address that this page came from, whatever the server's public one is.
spec.servers = place.dataset.root ? [{ url: place.dataset.root }] : undefined;
SwaggerUIBundle({ domNode: place, spec, deepLinking: true, tryItOutEnabled: true, displayRequestDuration: true, validatorUrl: null });
