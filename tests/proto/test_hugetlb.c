/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guest memory in huge pages, at an offset which is not a multiple of them.
 *
 * The pages are taken from the kernel's surplus, which is raised for as long as the test runs.
 */
#include <check.h>
#include <errno.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/echo.h"
#include "tests/tap.h"
#include "util.h"

#define HUGE (2u << 20)
#define OFFSET (HUGE / 2)
#define SIZE (3 * HUGE - OFFSET)	/* up to the file's end */

#define SURPLUS "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages"

static int surplus(const char *mode, unsigned int *pages)
{
	FILE *f = fopen(SURPLUS, mode);
	int ret = f ? 0 : -errno;

	if (f && *mode == 'r' && fscanf(f, "%u", pages) != 1)
		ret = -EIO;
	if (f && *mode == 'w')
		fprintf(f, "%u", *pages);
	if (f && fclose(f))
		ret = -errno;
	return ret;
}

/* The file, mapped at *ptr; or a negative errno. */
static int huge_file(uint8_t **ptr)
{
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);

	if (fd < 0 || ftruncate(fd, 3 * HUGE))
		return -errno;
	*ptr = mmap(NULL, 3 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (*ptr != MAP_FAILED)
		return fd;
	close(fd);
	return -ENOMEM;
}

static uint8_t *huge;
static int huge_fd;

/* proves: mem.hugetlb */
START_TEST(region_within_huge_pages)
{
	struct fe_region region = {
		.gpa = 0x10000, .size = SIZE, .offset = OFFSET,
		.fd = huge_fd, .ptr = huge + OFFSET, .uva = (uintptr_t)huge + OFFSET,
	};
	struct fe_mem mem = { .regions = &region, .num = 1 };
	struct fe_ring ring, *rings[] = { &ring };
	struct echo e;

	echo_start(&e, 1, 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, FE_BIT(32) | FE_BIT(VU_F_PROTOCOL_FEATURES),
				      _i ? ~UINT64_C(0) :
				      ~FE_BIT(VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS)), 0);
	const struct fe_ring_params params = { .size = 16, .features = e.fe.features };
	ck_assert_int_eq(fe_ring_init(&ring, &mem, &params), 0);
	ck_assert_int_eq(fe_start(&e.fe, &mem, rings, 1), 0);
	echo_check(&ring, 100);
	/* A buffer which goes on into the next huge page, and one at the very end. */
	region.used = HUGE - OFFSET - 50;
	echo_check(&ring, 100);
	region.used = SIZE - 200;
	echo_check(&ring, 100);
	fe_ring_free(&ring);
	echo_stop(&e);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hugetlb");
	TCase *t = tcase_create("hugetlb");
	unsigned int before, wanted;
	int ret = surplus("r", &before);

	tcase_add_loop_test(t, region_within_huge_pages, 0, 2);
	suite_add_tcase(s, t);
	wanted = before + 3;
	if (!ret)
		ret = surplus("w", &wanted);
	if (!ret)
		ret = huge_fd = huge_file(&huge);
	if (ret >= 0) {
		ret = tap_main(s);
	} else {
		printf("1..0 # SKIP no huge pages to be had: %s\n", strerror(-ret));
		srunner_free(srunner_create(s));
		ret = 0;
	}
	surplus("w", &before);
	return ret;
}
