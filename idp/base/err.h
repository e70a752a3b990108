#pragma once
#include "arena.h"

/* What went wrong, told twice: kind is for the client and comes from a fixed list,
 * why is for the log and the audit trail. No code path prints why into a response.
 *
 * err says whether an answer could be had; what the answer was is in the out parameter:
 * a miss is a value, a fault is an error, so a broken store can only fail closed. */
struct err_kind { const char *code; int status; const char *told; };

typedef struct [[nodiscard]] err { const struct err_kind *kind; const char *why; } err;

#define OK ((err){ 0 })
#define TRY(expr) do { err e_ = (expr); if (e_.kind) return e_; } while (0)

#define ERR(sym, code, status, told) extern const struct err_kind sym;
#include "errors.def"
#undef ERR

/* why is cut at 511 bytes and has its control characters replaced, so that a log line stays one line. */
[[gnu::format(printf, 3, 4)]]
err fault(struct arena *a, const struct err_kind *kind, const char *why, ...);
