#pragma once
#include <p11-kit/pkcs11.h>
#include <stdatomic.h>

enum { SHIM_WORKS, SHIM_LOCKED, SHIM_HANGS, SHIM_UNPLUGGED };
extern atomic_int shim_mode, shim_logins, shim_inside;   /* inside: threads in C_Sign */
extern CK_FUNCTION_LIST *shim_real;
