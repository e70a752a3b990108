'use strict';
// Every page works without this file; it only makes them kinder.
(function () {
	// A second press of a button must not send the form twice. Its own value still has to travel, so it is not disabled at once.
	document.addEventListener('submit', function (e) {
		if (e.target.dataset.sent) {
			e.preventDefault();
			return;
		}
		e.target.dataset.sent = '1';
		if (e.submitter)
			e.submitter.setAttribute('aria-busy', 'true');
	});
	// Pages that come back out of the browser's memory are to be used again.
	addEventListener('pageshow', function (e) {
		if (!e.persisted)
			return;
		document.querySelectorAll('form').forEach(function (f) { delete f.dataset.sent; });
		document.querySelectorAll('[aria-busy]').forEach(function (b) { b.removeAttribute('aria-busy'); });
	});
	// Elsewhere autofocus does it, and says so when it comes too late.
	var error = document.getElementById('error');
	if (error && !('autofocus' in error))
		error.focus();
	if (navigator.clipboard)
		document.querySelectorAll('[data-copy]').forEach(function (b) {
			b.hidden = false;
			b.addEventListener('click', function () {
				navigator.clipboard.writeText(document.getElementById(b.dataset.copy).textContent.trim()).then(function () {
					b.textContent = b.dataset.done;
				});
			});
		});
})();
