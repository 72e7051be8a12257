/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A fuzz target as a plain test: it runs each file of its corpus, and each corpus file cut off.
 *
 * Arguments are files to run instead.  A finding ends the process, behind the name of the
 * file on standard output.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/input.h"

#define INPUT_MAX	65536u
/* Each corpus file is cut at about so many places. */
#define CUTS		8u

struct replay {
	uint8_t data[INPUT_MAX];
	size_t size;
	unsigned int files, runs;
};

static bool replay_read(struct replay *r, const char *path)
{
	FILE *f = fopen(path, "rb");

	if (!f)
		return false;
	r->size = fread(r->data, 1, sizeof(r->data), f);
	fclose(f);
	return true;
}

/* A copy of exactly this size, so that the sanitizer sees reads behind its end. */
static void replay_run(struct replay *r, size_t size)
{
	uint8_t *copy = malloc(MAX(size, 1u));

	memcpy(copy, r->data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	r->runs++;
}

static void replay_file(struct replay *r, const char *path, bool cut)
{
	size_t step = getenv("LIBVHOST_LONG") ? 1 : 0, i;

	printf("# %s\n", path);
	fflush(stdout);
	if (!replay_read(r, path)) {
		printf("Bail out! cannot read %s\n", path);
		exit(EXIT_FAILURE);
	}
	r->files++;
	replay_run(r, r->size);
	if (!step)
		step = r->size / CUTS + 1;
	for (i = r->size % step; cut && i < r->size; i += step)
		replay_run(r, i);
}

static int replay_is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void replay_corpus(struct replay *r, const char *dir)
{
	struct dirent **list;
	char path[8192];
	int i, n = scandir(dir, &list, replay_is_input, alphasort);

	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
		replay_file(r, path, true);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

int main(int argc, char **argv)
{
	static struct replay r;
	const char *top = getenv("top_srcdir");
	char dir[4096];
	int i;

	printf("1..1\n");
	for (i = 1; i < argc; i++)
		replay_file(&r, argv[i], false);
	if (argc <= 1) {
		snprintf(dir, sizeof(dir), "%s/tests/fuzz/corpus/" FUZZ_TARGET, top ? top : ".");
		replay_corpus(&r, dir);
	}
	printf("%sok 1 - " FUZZ_TARGET ": %u files of the corpus, %u runs\n", r.files ? "" : "not ",
	       r.files, r.runs);
	return r.files ? EXIT_SUCCESS : EXIT_FAILURE;
}
