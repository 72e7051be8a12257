/* SPDX-License-Identifier: BSD-3-Clause */
/* See inflight.h. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/proto/inflight.h"
#include "tests/tap.h"

int new_file(size_t size)
{
	int fd = memfd_create("test-inflight", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	return fd;
}

unsigned int count_mappings(const char *name)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned int n = 0;
	char line[512];

	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps))
		n += !!strstr(line, name);
	fclose(maps);
	return n;
}
