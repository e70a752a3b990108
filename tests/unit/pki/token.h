#pragma once
#include "hsm.h"

/* A SoftHSM token of this test's own, in a folder of its own, behind the module of hsm_shim.c. */
struct hsm_conf softhsm(struct arena *a);    /* made once a program; PIN 1234, in pin_file */
const char *softhsm_tokens(void);            /* the folder that holds it */
void softhsm_pin(const char *pin);           /* what pin_file says */
void *softhsm_symbol(const char *name);
