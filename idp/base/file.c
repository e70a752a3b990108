#include "file.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static err read_fd(struct arena *a, const char *path, int fd, size_t max, struct str *out)
{
	char *d = arena_alloc(a, max + 2);
	size_t n = 0;
	for (ssize_t k; (k = read(fd, d + n, max + 1 - n)) != 0;) {
		if (k < 0)
			return fault(a, &BAD_CONFIG, "%s: %s", path, strerror(errno));
		n += (size_t)k;
		if (n > max)
			return fault(a, &BAD_CONFIG, "%s: longer than %zu bytes", path, max);
	}
	*out = (struct str){ d, n };
	return OK;
}

static err read_file(struct arena *a, const char *path, size_t max, bool secret, struct str *out)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fault(a, &BAD_CONFIG, "%s: %s", path, strerror(errno));
	err e = OK;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		e = fault(a, &BAD_CONFIG, "%s: not a regular file", path);
	else if (secret && (st.st_mode & 077))
		e = fault(a, &BAD_CONFIG, "%s: others may read this secret (mode %03o); chmod 600 it", path, (unsigned)st.st_mode & 0777);
	else if (st.st_size > (off_t)max)
		e = fault(a, &BAD_CONFIG, "%s: longer than %zu bytes", path, max);
	else
		e = read_fd(a, path, fd, (size_t)st.st_size, out);
	close(fd);
	return e;
}

err file_read(struct arena *a, const char *path, size_t max, struct str *out) { return read_file(a, path, max, false, out); }
err file_read_secret(struct arena *a, const char *path, size_t max, struct str *out) { return read_file(a, path, max, true, out); }

err file_write_new(struct arena *a, const char *path, unsigned mode, struct bytes b)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return fault(a, errno == EEXIST ? &CONFLICT : &BAD_CONFIG, "%s: %s", path, strerror(errno));
	bool good = write(fd, b.p, b.n) == (ssize_t)b.n && fsync(fd) == 0;
	int why = errno;
	close(fd);
	if (good)
		return OK;
	unlink(path);
	return fault(a, &BAD_CONFIG, "%s: %s", path, strerror(why));
}
