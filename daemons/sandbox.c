/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sandbox: what remains to somebody who has taken over the process.
 *
 * Whatever belongs to one thread (user, capabilities, Landlock) is given up before the
 * first file is opened, when there is one thread, from which all others inherit it.  It has to be
 * so early also because the kernel serves a SCSI generic device only to the credentials which
 * have opened it.  System calls are restricted when all is open and all threads run; that
 * reaches all of them at once.
 *
 * Descriptors which we have not opened ourselves are strays, unless an option or the service
 * manager has named them; whoever takes such a one over sets its close-on-exec flag, with which
 * none is inherited.
 */
#include <cap-ng.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"
#include "sandbox.h"
#include "util.h"

/*
 * What is needed
 */

void sandbox_need_file(struct sandbox *s, const char *path, enum daemon_access access)
{
	struct sandbox_file *files = reallocarray(s->files, s->num_files + 1, sizeof(*files));

	if (!files) {
		s->err = -ENOMEM;
		return;
	}
	s->files = files;
	files[s->num_files++] = (struct sandbox_file){ path, access };
}

void sandbox_need_cap(struct sandbox *s, unsigned int cap)
{
	s->caps |= BIT(cap);
}

/*
 * Strays
 */

static void sandbox_add_stray(struct sandbox *s, int fd)
{
	int *strays = reallocarray(s->strays, s->num_strays + 1, sizeof(*strays));

	if (!strays) {
		s->err = -ENOMEM;
		return;
	}
	s->strays = strays;
	strays[s->num_strays++] = fd;
}

void sandbox_init(struct sandbox *s)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;
	int fd;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		fd = atoi(entry->d_name);
		if (fd > STDERR_FILENO && fd != dirfd(dir))
			sandbox_add_stray(s, fd);
	}
	closedir(dir);
}

void sandbox_exit(struct sandbox *s)
{
	free(s->files);
	free(s->strays);
	s->files = NULL;
	s->strays = NULL;
	s->num_files = s->num_strays = 0;
}

static void sandbox_close_strays(const struct sandbox *s)
{
	unsigned int i;

	for (i = 0; i < s->num_strays; i++)
		if (fcntl(s->strays[i], F_GETFD) == 0)
			close(s->strays[i]);
}

/*
 * User
 */

struct sandbox_ids {
	int uid, gid;			/* -1: as it is */
	int flags;			/* for libcap-ng */
};

static bool sandbox_number(const char *text, int *id)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || n > INT32_MAX)
		return false;
	*id = (int)n;
	return true;
}

static int sandbox_find_ids(const struct sandbox *s, struct sandbox_ids *ids)
{
	const struct passwd *pw = s->user ? getpwnam(s->user) : NULL;
	const struct group *gr = s->group ? getgrnam(s->group) : NULL;

	*ids = (struct sandbox_ids){ -1, -1, CAPNG_NO_FLAG };
	if (pw) {
		ids->uid = (int)pw->pw_uid;
		ids->gid = (int)pw->pw_gid;
		ids->flags = CAPNG_INIT_SUPP_GRP;
	} else if (s->user) {
		ids->flags = CAPNG_DROP_SUPP_GRP;
		if (!sandbox_number(s->user, &ids->uid)) {
			daemon_err("--user=%s: no such user", s->user);
			return -EINVAL;
		}
	}
	if (gr) {
		ids->gid = (int)gr->gr_gid;
	} else if (s->group && !sandbox_number(s->group, &ids->gid)) {
		daemon_err("--group=%s: no such group", s->group);
		return -EINVAL;
	}
	return 0;
}

/*
 * Capabilities
 */

/* Whether we could not use the file without the right to use them all. */
static bool sandbox_cannot_use(const struct sandbox_file *file)
{
	bool folder = file->access == DAEMON_MAKE || file->access == DAEMON_SOCKET;
	char *path = folder ? sandbox_folder(file->path) : strdup(file->path);
	int mode = folder ? R_OK | W_OK | X_OK : file->access == DAEMON_READ ? R_OK : R_OK | W_OK;
	bool no = path && faccessat(AT_FDCWD, path, mode, AT_EACCESS) && errno == EACCES;

	free(path);
	return no;
}

static bool sandbox_cannot_use_all(const struct sandbox *s)
{
	unsigned int i;

	for (i = 0; i < s->num_files; i++)
		if (sandbox_cannot_use(&s->files[i]))
			return true;
	return false;
}

/* Those which we have and need; the right to override modes only if it makes a difference. */
static void sandbox_choose_caps(struct sandbox *s, const struct sandbox_ids *ids)
{
	unsigned int i;

	capng_get_caps_process();
	if (ids->uid < 0 && capng_have_capability(CAPNG_EFFECTIVE, CAP_DAC_OVERRIDE)) {
		capng_update(CAPNG_DROP, CAPNG_EFFECTIVE, CAP_DAC_OVERRIDE);
		capng_update(CAPNG_DROP, CAPNG_EFFECTIVE, CAP_DAC_READ_SEARCH);
		if (!capng_apply(CAPNG_SELECT_CAPS) && sandbox_cannot_use_all(s))
			sandbox_need_cap(s, CAP_DAC_OVERRIDE);
	}
	capng_get_caps_process();
	for (i = 0; i < 64; i++)
		if (s->caps & BIT(i) && !capng_have_capability(CAPNG_PERMITTED, i))
			s->caps &= ~BIT(i);
	capng_clear(CAPNG_SELECT_BOTH);
	for (i = 0; i < 64; i++)
		if (s->caps & BIT(i))
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, i);
}

static bool sandbox_may_bound(void)
{
	bool may;

	capng_get_caps_process();
	may = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	return may;
}

/* Become the user, if one is named, with no more capabilities than are needed. */
static int sandbox_drop(struct sandbox *s)
{
	bool bound = sandbox_may_bound();
	struct sandbox_ids ids;
	int ret = sandbox_find_ids(s, &ids);

	if (ret)
		return ret;
	sandbox_choose_caps(s, &ids);
	if (bound)
		capng_apply(CAPNG_SELECT_BOUNDS);
	if (ids.uid >= 0 || ids.gid >= 0)
		ret = capng_change_id(ids.uid, ids.gid, (capng_flags_t)ids.flags);
	else
		ret = capng_apply(CAPNG_SELECT_CAPS);
	if (!ret)
		return 0;
	if (s->user || s->group)
		daemon_err("--%s=%s: not permitted", s->user ? "user" : "group",
			   s->user ? s->user : s->group);
	else
		daemon_err("cannot drop capabilities");
	return -EPERM;
}

/*
 * The order of it
 */

static int sandbox_restrict_files(struct sandbox *s)
{
	int ret = landlock_restrict(s->files, s->num_files);

	if (ret == -ENOSYS || ret == -EOPNOTSUPP) {
		s->missing = "Landlock, so what files it may open is up to their modes";
		return 0;
	}
	if (ret)
		daemon_err("cannot restrict the use of files: %s", strerror(-ret));
	return ret;
}

int sandbox_early(struct sandbox *s)
{
	int ret = s->err;

	if (ret) {
		daemon_err("cannot prepare the sandbox: %s", strerror(-ret));
		return ret;
	}
	if (s->mode == SANDBOX_NONE && !s->user && !s->group)
		return 0;
	ret = sandbox_drop(s);
	if (ret || s->mode == SANDBOX_NONE)
		return ret;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) {
		daemon_err("cannot renounce new privileges: %s", strerror(errno));
		return -errno;
	}
	return s->mode == SANDBOX_FULL ? sandbox_restrict_files(s) : 0;
}

int sandbox_late(struct sandbox *s)
{
	int ret;

	if (s->mode == SANDBOX_NONE) {
		daemon_log(VHOST_LOG_INFO, "no sandbox");
		return 0;
	}
	sandbox_close_strays(s);
	if (s->missing)
		daemon_log(VHOST_LOG_WARN, "this kernel has no %s", s->missing);
	if (s->mode != SANDBOX_FULL || s->seccomp == SECCOMP_OFF)
		return 0;
	ret = seccomp_restrict(s->seccomp == SECCOMP_LOG, s->ioctls);
	if (ret)
		daemon_err("--seccomp: %s", strerror(-ret));
	return ret;
}
