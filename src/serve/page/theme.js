// Puts the theme chosen last in place before anything is drawn; a classic script, so that it runs at once.
// Without a choice the system's preference holds, by CSS alone.
(() => {
    try {
        const chosen = localStorage.getItem("limbic-theme");
        if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
    } catch {
        // Storage may be closed to us; the system's preference it is.
    }
})();
