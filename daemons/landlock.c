/* SPDX-License-Identifier: BSD-3-Clause */
/* Which files the process can open, make and remove: those which the options name. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox.h"
#include "util.h"

/* Newer than some headers. */
#define FS_REFER	BIT(13)
#define FS_TRUNCATE	BIT(14)

/* All that the first version knows. */
#define FS_ALL		(BIT(13) - 1)
/* What can be allowed for something that is not a folder. */
#define FS_FILE		(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | \
			 LANDLOCK_ACCESS_FS_READ_FILE | FS_TRUNCATE)

#define FS_READ		(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE	(FS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)

/* For a file that is made: of its folder. */
static const struct {
	bool folder;
	uint64_t rights;
} landlock_access[] = {
	[DAEMON_READ] = { false, FS_READ },
	[DAEMON_WRITE] = { false, FS_WRITE },
	[DAEMON_MAKE] = { true, FS_WRITE | LANDLOCK_ACCESS_FS_MAKE_REG |
				LANDLOCK_ACCESS_FS_REMOVE_FILE },
	[DAEMON_FOLDER] = { false, FS_WRITE | LANDLOCK_ACCESS_FS_MAKE_REG |
				   LANDLOCK_ACCESS_FS_REMOVE_FILE },
	[DAEMON_SOCKET] = { true, LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE },
};

/* What this kernel can restrict. */
static uint64_t landlock_handled(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (abi < 1)
		return 0;
	return FS_ALL | (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0);
}

char *sandbox_folder(const char *path)
{
	char *copy = strdup(path), *folder = copy ? strdup(dirname(copy)) : NULL;

	free(copy);
	return folder;
}

static int landlock_allow_path(int ruleset, const char *path, uint64_t rights)
{
	struct landlock_path_beneath_attr rule = {
		.allowed_access = rights,
		.parent_fd = open(path, O_PATH | O_CLOEXEC),
	};
	struct stat sb;
	int ret = 0;

	/* What is not there cannot be opened either, and whoever tries will say so. */
	if (rule.parent_fd < 0)
		return 0;
	if (!fstat(rule.parent_fd, &sb) && !S_ISDIR(sb.st_mode))
		rule.allowed_access &= FS_FILE;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
		ret = -errno;
	close(rule.parent_fd);
	return ret;
}

static int landlock_allow(int ruleset, const struct sandbox_file *file, uint64_t handled)
{
	uint64_t rights = landlock_access[file->access].rights & handled;
	char *folder;
	int ret;

	if (!landlock_access[file->access].folder)
		return landlock_allow_path(ruleset, file->path, rights);
	folder = sandbox_folder(file->path);
	ret = folder ? landlock_allow_path(ruleset, folder, rights) : -ENOMEM;
	free(folder);
	return ret;
}

int landlock_restrict(const struct sandbox_file *files, unsigned int num)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = landlock_handled() };
	unsigned int i;
	int ruleset, ret = 0;

	if (!attr.handled_access_fs)
		return -ENOSYS;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0)
		return -errno;
	for (i = 0; !ret && i < num; i++)
		ret = landlock_allow(ruleset, &files[i], attr.handled_access_fs);
	if (!ret && syscall(SYS_landlock_restrict_self, ruleset, 0))
		ret = -errno;
	close(ruleset);
	return ret;
}
