/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Persistent reservations in a file (APTPL, SPC-4 5.13.5).
 *
 * Text, a line each:
 *
 *	libvhost persistent reservations 1
 *	reservation TYPE INITIATOR		unless there is none
 *	registration INITIATOR KEY		each
 *
 * numbers in decimal, keys in hexadecimal.  The file is written anew beside the old one and takes
 * its place when it is on the disk.  It is found by its directory, which is kept open, so that
 * nothing needs the path once the process has confined itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "scsi/op.h"

#define PR_FILE_MAGIC	"libvhost persistent reservations 1\n"
#define PR_FILE_SUFFIX	".new"

static void pr_print(FILE *f, const struct pr_state *pr)
{
	unsigned int i;

	fputs(PR_FILE_MAGIC, f);
	if (pr->type)
		fprintf(f, "reservation %u %" PRIu32 "\n", pr->type, pr->holder);
	for (i = 0; i < pr->count; i++)
		fprintf(f, "registration %" PRIu32 " %" PRIx64 "\n", pr->list[i].initiator,
			pr->list[i].key);
}

/* Closes fd. */
static int pr_write(int fd, const struct pr_state *pr)
{
	FILE *f = fdopen(fd, "w");
	int err = 0;

	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	pr_print(f, pr);
	if (fflush(f) || fsync(fd))
		err = -errno;
	if (fclose(f) && !err)
		err = -errno;
	return err;
}

static int pr_replace(const struct pr_state *pr, const char *name)
{
	int fd = openat(pr->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int err = fd < 0 ? -errno : pr_write(fd, pr);

	if (!err && renameat(pr->dir, name, pr->dir, pr->name))
		err = -errno;
	if (err)
		unlinkat(pr->dir, name, 0);
	else if (fsync(pr->dir))
		err = -errno;
	return err;
}

int pr_save(struct pr_state *pr)
{
	char *name;
	int err;

	/* What is not to be kept through the loss of power is not there after it. */
	if (!pr->aptpl) {
		if (unlinkat(pr->dir, pr->name, 0) && errno != ENOENT)
			return -errno;
		return fsync(pr->dir) ? -errno : 0;
	}
	if (asprintf(&name, "%s" PR_FILE_SUFFIX, pr->name) < 0)
		return -ENOMEM;
	err = pr_replace(pr, name);
	free(name);
	return err;
}

/*
 * Reading
 */

static bool pr_known(const struct pr_state *pr, uint32_t initiator)
{
	unsigned int i;

	for (i = 0; i < pr->count; i++) {
		if (pr->list[i].initiator == initiator)
			return true;
	}
	return false;
}

static bool pr_parse_registration(struct pr_state *pr, const char *line)
{
	struct pr_registration reg;
	int end = 0;

	if (sscanf(line, "registration %" SCNu32 " %" SCNx64 "%n", &reg.initiator, &reg.key,
		   &end) != 2 || line[end] != '\n')
		return false;
	if (!reg.key || pr->count == PR_REGISTRATIONS || pr_known(pr, reg.initiator))
		return false;
	pr->list[pr->count++] = reg;
	return true;
}

static bool pr_parse_line(struct pr_state *pr, const char *line)
{
	unsigned int type;
	int end = 0;

	if (strncmp(line, "reservation ", 12))
		return pr_parse_registration(pr, line);
	if (sscanf(line, "reservation %u %" SCNu32 "%n", &type, &pr->holder, &end) != 2 ||
	    line[end] != '\n' || pr->type)
		return false;
	pr->type = (uint8_t)type;
	return type == 1 || type == 3 || (type >= 5 && type <= 8);
}

/* Whether all of the file makes sense. */
static bool pr_parse(struct pr_state *pr, FILE *f)
{
	char line[128];

	if (!fgets(line, sizeof(line), f) || strcmp(line, PR_FILE_MAGIC))
		return false;
	while (fgets(line, sizeof(line), f)) {
		if (!pr_parse_line(pr, line))
			return false;
	}
	/* Who holds it is registered; for all registrants (types 7 and 8) somebody is. */
	return !pr->type || (pr->type >= 7 ? pr->count > 0 : pr_known(pr, pr->holder));
}

static int pr_read(struct pr_state *pr)
{
	int fd = openat(pr->dir, pr->name, O_RDONLY | O_CLOEXEC);
	FILE *f;
	int err;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	f = fdopen(fd, "r");
	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	err = pr_parse(pr, f) ? 0 : -EBADMSG;
	fclose(f);
	pr->aptpl = true;
	return err;
}

static int pr_open_dir(struct pr_state *pr, const char *path)
{
	char *copy = strdup(path), *copy2 = strdup(path);
	int err = -ENOMEM;

	if (copy && copy2) {
		pr->name = strdup(basename(copy2));
		pr->dir = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		err = pr->dir < 0 ? -errno : pr->name ? 0 : -ENOMEM;
	}
	free(copy);
	free(copy2);
	return err;
}

int pr_load(struct pr_state *pr, const char *path, char *why, size_t why_size)
{
	int err = pr_open_dir(pr, path);

	if (!err)
		err = pr_read(pr);
	if (err == -EBADMSG)
		snprintf(why, why_size, "%s: this is no file of persistent reservations", path);
	else if (err)
		snprintf(why, why_size, "%s: %s", path, strerror(-err));
	return err;
}
