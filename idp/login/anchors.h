#pragma once
#include "house.h"

/* The trust anchors of the store as one trust, read again every few seconds so that a change made elsewhere is seen. */
err anchors_new(struct arena *a, struct anchors **out);
void anchors_free(struct anchors *);
/* Held until the arena is cleared. */
err anchors_now(struct house *, struct arena *a, epoch now, struct trust **out);
/* trust_row.settings (JSON) into an anchor; BAD_CONFIG with what is wrong. `motid trust add` checks with it before it stores. */
err anchor_read(struct arena *a, const struct trust_row *, struct anchor *out);
