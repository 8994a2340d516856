// Applies the remembered theme before the first paint. A file of its own: the page allows no inline scripts.
try {
  const theme = localStorage.getItem('pingo-theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
} catch {
  // Storage is switched off: the system's theme holds.
}
