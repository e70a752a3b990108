#include "pin.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { MAX_PIN = 64 };

static const char *remark(const struct card_info *i)
{
	return i->pin_last ? "Last try before the token locks itself." : i->pin_low ? "A wrong PIN was given before." : "";
}

static err cancelled(struct arena *a) { return fault(a, &ACCESS_DENIED, "user_cancelled"); }

/* ---- the terminal ------------------------------------------------------------------------------------------------- */

static err read_line(struct arena *a, FILE *f, struct str *pin)
{
	char line[MAX_PIN + 2];
	if (!fgets(line, sizeof line, f))
		return cancelled(a);
	size_t n = strcspn(line, "\r\n");
	*pin = str_dup(a, line, n);
	explicit_bzero(line, sizeof line);
	return n ? OK : cancelled(a);
}

static err ask_tty(struct arena *a, struct str origin, const struct card_info *i, struct str *pin)
{
	FILE *tty = fopen("/dev/tty", "r+");
	struct termios was, quiet;
	if (!tty)
		return fault(a, &BAD_CONFIG, "there is no terminal to ask for the PIN on; use --ask pinentry");
	int fd = fileno(tty);
	fprintf(tty, "\n%s asks you to sign in.\nToken: %s (%s)\n%s%sPIN (empty = refuse): ", origin.p, i->token.p, i->subject.p, remark(i), *remark(i) ? "\n" : "");
	fflush(tty);
	bool hide = tcgetattr(fd, &was) == 0;
	if (hide) {
		quiet = was;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(fd, TCSAFLUSH, &quiet);
	}
	err e = read_line(a, tty, pin);
	if (hide)
		tcsetattr(fd, TCSAFLUSH, &was);
	fprintf(tty, "\n");
	fclose(tty);
	return e;
}

/* ---- another program ------------------------------------------------------------------------------------------------- */

struct program { pid_t pid; FILE *to, *from; };

static err run(struct arena *a, char *const argv[], struct program *p)
{
	int in[2], out[2];
	if (pipe2(in, O_CLOEXEC))
		return fault(a, &SERVER_ERROR, "pipe: %s", strerror(errno));
	if (pipe2(out, O_CLOEXEC)) {
		close(in[0]);
		close(in[1]);
		return fault(a, &SERVER_ERROR, "pipe: %s", strerror(errno));
	}
	p->pid = fork();
	if (p->pid == 0) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	p->to = fdopen(in[1], "w");
	p->from = fdopen(out[0], "r");
	return p->pid > 0 && p->to && p->from ? OK : fault(a, &SERVER_ERROR, "%s: %s", argv[0], strerror(errno));
}

static int ended(struct program *p)
{
	int status = 0;
	fclose(p->to);
	fclose(p->from);
	waitpid(p->pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 127;
}

static err ask_program(struct arena *a, const char *path, struct str origin, const struct card_info *i, struct str *pin)
{
	struct program p;
	char *argv[] = { (char *)(uintptr_t)path, (char *)(uintptr_t)origin.p, (char *)(uintptr_t)i->token.p, (char *)(uintptr_t)remark(i), NULL };
	TRY(run(a, argv, &p));
	err e = read_line(a, p.from, pin);
	int status = ended(&p);
	if (status == 127)
		return fault(a, &BAD_CONFIG, "cannot run %s", path);
	return status ? cancelled(a) : e;
}

/* pinentry's Assuan protocol: OK at first and after each command; GETPIN answers "D <pin>" and OK, or ERR. %XX escapes. */
static bool assuan_ok(FILE *f, struct arena *a, struct str *data)
{
	char line[1024];
	while (fgets(line, sizeof line, f)) {
		size_t n = strcspn(line, "\r\n");
		if (!strncmp(line, "OK", 2))
			return true;
		if (!strncmp(line, "ERR", 3))
			return false;
		if (data && n > 2 && !strncmp(line, "D ", 2)) {
			char *d = arena_alloc(a, n);
			size_t k = 0;
			for (size_t i = 2; i < n; i++) {
				unsigned v;
				if (line[i] == '%' && i + 2 < n && sscanf(line + i + 1, "%2x", &v) == 1)
					d[k++] = (char)v, i += 2;
				else
					d[k++] = line[i];
			}
			*data = (struct str){ d, k };
			explicit_bzero(line, sizeof line);
		}
	}
	return false;
}

static err ask_pinentry(struct arena *a, struct str origin, const struct card_info *i, struct str *pin)
{
	struct program p;
	char *argv[] = { (char[]){ "pinentry" }, NULL };
	bool good;
	TRY(run(a, argv, &p));
	*pin = S("");
	good = assuan_ok(p.from, a, NULL);
	fprintf(p.to, "SETTITLE motid-token\n"), fflush(p.to);
	good = good && assuan_ok(p.from, a, NULL);
	fprintf(p.to, "SETDESC %s%%0A%s (%s)%%0A%s\n", origin.p, i->token.p, i->subject.p, remark(i)), fflush(p.to);
	good = good && assuan_ok(p.from, a, NULL);
	fprintf(p.to, "SETPROMPT PIN:\nGETPIN\n"), fflush(p.to);
	good = good && assuan_ok(p.from, a, NULL) && assuan_ok(p.from, a, pin);
	fprintf(p.to, "BYE\n");
	if (ended(&p) == 127)
		return fault(a, &BAD_CONFIG, "pinentry is not installed; use --ask tty");
	return good && pin->n ? OK : cancelled(a);
}

err pin_ask(struct arena *a, const char *how, struct str origin, const struct card_info *i, struct str *pin)
{
	*pin = S("");
	if (i->pin_locked)
		return fault(a, &LOGIN_REFUSED, "pin_blocked");
	if (i->own_pinpad)
		return OK;
	if (!strcmp(how, "tty"))
		return ask_tty(a, origin, i, pin);
	if (!strcmp(how, "pinentry"))
		return ask_pinentry(a, origin, i, pin);
	return ask_program(a, how, origin, i, pin);
}
