/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The front-end library in postcopy.
 *
 * The back-end is this process: it maps the destination's memory a second time, registers that with
 * a userfaultfd which it gives to the front-end, and touches it.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fe_migrate.h"
#include "frontend_peer.h"
#include "tap.h"

#define PAGE		4096u
#define GPA		UINT64_C(0x10000)
#define LONG_MS		10000
#define PAGES		8u		/* of each region */

static struct fe_mem source, dest;
static struct fe_postcopy pc;
static uint8_t *maps[2];		/* the back-end's */
static int uffd;

/* The kernel may refuse it to who is not root. */
static int open_uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void make_mem(struct fe_mem *mem)
{
	*mem = (struct fe_mem){ 0 };
	ck_assert_int_eq(fe_mem_add(mem, &(struct fe_region_params){
		.gpa = GPA, .size = PAGES * PAGE }), 0);
	ck_assert_int_eq(fe_mem_add(mem, &(struct fe_region_params){
		.gpa = 2 * GPA, .size = PAGES * PAGE, .offset = PAGE }), 1);
}

/* What the back-end does on SET_MEM_TABLE. */
static void map_region(unsigned int i)
{
	const struct fe_region *r = &dest.regions[i];
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	maps[i] = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, (off_t)r->offset);
	ck_assert_ptr_ne(maps[i], MAP_FAILED);
	reg.range.start = (uintptr_t)maps[i];
	reg.range.len = r->size;
	ck_assert_int_eq(ioctl(uffd, UFFDIO_REGISTER, &reg), 0);
}

static void setup(void)
{
	unsigned int i, k;

	peer_setup();
	fe.timeout_ms = LONG_MS;
	uffd = open_uffd();
	ck_assert_int_ge(uffd, 0);
	make_mem(&source);
	make_mem(&dest);
	for (i = 0; i < 2; i++) {
		map_region(i);
		for (k = 0; k < PAGES; k++)
			memset(source.regions[i].ptr + k * PAGE, (int)(1 + i * PAGES + k), PAGE);
	}
}

static void teardown(void)
{
	unsigned int i;

	fe_postcopy_free(&pc);
	close(uffd);
	for (i = 0; i < 2; i++)
		munmap(maps[i], PAGES * PAGE);
	fe_mem_free(&source);
	fe_mem_free(&dest);
	peer_teardown();
}

/* The answers up to the go-ahead. */
static void begin(bool by_region)
{
	struct vu_memory table = { .num_regions = 2 };
	struct vu_mem_reg reg = { 0 };
	unsigned int i;

	answer_fds(28, NULL, 0, &uffd, 1);
	answer_u64(29, 0);
	ck_assert_int_eq(fe_postcopy_begin(&pc, &fe), 0);
	asked(28, 0x1, 0, 0);
	asked(29, 0x9, 0, 0);
	for (i = 0; i < 2; i++) {
		table.regions[i] = (struct vu_region){
			.guest_addr = dest.regions[i].gpa, .size = dest.regions[i].size,
			.user_addr = (uintptr_t)maps[i], .mmap_offset = dest.regions[i].offset,
		};
		reg.region = table.regions[i];
		if (by_region)
			answer(37, 0x5, &reg, sizeof(reg));
	}
	if (!by_region)
		answer(5, 0x5, &table, 8 + 2 * 32);
	ck_assert_int_eq(fe_postcopy_start(&pc, &fe, &dest, &source, by_region), 0);
	if (by_region) {
		asked(37, 0x1, 40, 1);
		asked(37, 0x1, 40, 1);
		ASKED(37, 0, 0);
	} else {
		asked(5, 0x1, 72, 2);
		ASKED(5, 0, 0);
	}
}

/* A byte of the back-end's mapping, which is not read in vain. */
static unsigned int touch(unsigned int i, unsigned int page)
{
	return *(volatile uint8_t *)(maps[i] + page * PAGE + 5);
}

START_TEST(on_demand)
{
	unsigned int k;

	begin(_i);
	ck_assert_uint_eq(touch(1, 3), 1 + PAGES + 3);
	ck_assert_uint_eq(fe_postcopy_pages(&pc), 1);
	ck_assert_uint_eq(touch(1, 3), 1 + PAGES + 3);
	ck_assert_uint_eq(touch(0, 0), 1);
	ck_assert_uint_eq(fe_postcopy_pages(&pc), 2);
	/* The front-end's own mapping sees what has come. */
	ck_assert_uint_eq(dest.regions[0].ptr[0], 1);
	ck_assert_int_eq(fe_postcopy_fetch(&pc, 2 * GPA + PAGE - 1, 2), 0);
	ck_assert_uint_eq(dest.regions[1].ptr[0], 1 + PAGES);
	ck_assert_uint_eq(touch(1, 0), 1 + PAGES);
	ck_assert_uint_eq(touch(1, 1), 1 + PAGES + 1);
	ck_assert_uint_eq(fe_postcopy_pages(&pc), 2);
	ck_assert_int_eq(fe_postcopy_fetch(&pc, 2 * GPA, PAGES * PAGE + 1), -EFAULT);
	ck_assert_int_eq(fe_postcopy_fetch(&pc, 0, 1), -EFAULT);

	answer_u64(30, 0);
	ck_assert_int_eq(fe_postcopy_finish(&pc, &fe), 0);
	asked(30, 0x9, 0, 0);
	for (k = 0; k < PAGES; k++)
		ck_assert_uint_eq(touch(0, k), 1 + k);
	ck_assert_uint_eq(fe_postcopy_pages(&pc), 2);
}
END_TEST

static unsigned int touched;

static void *toucher(void *arg)
{
	(void)arg;
	__atomic_store_n(&touched, touch(0, 2), __ATOMIC_RELEASE);
	return NULL;
}

/* While faults are held back whoever has touched a page waits, and nobody else. */
START_TEST(hold)
{
	pthread_t thread;

	begin(false);
	fe_postcopy_hold(&pc, true);
	ck_assert_int_eq(fe_postcopy_wait_faults(&pc, 1, SHORT_MS), -ETIMEDOUT);
	pthread_create(&thread, NULL, toucher, NULL);
	ck_assert_int_eq(fe_postcopy_wait_faults(&pc, 1, LONG_MS), 0);
	ck_assert_uint_eq(__atomic_load_n(&touched, __ATOMIC_ACQUIRE), 0);
	ck_assert_uint_eq(fe_postcopy_pages(&pc), 0);
	fe_postcopy_hold(&pc, false);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(touched, 3);
	ck_assert_uint_eq(fe_postcopy_pages(&pc), 1);
}
END_TEST

/* Freed with a fault held back: nobody hangs. */
START_TEST(free_while_held)
{
	pthread_t thread;

	begin(false);
	fe_postcopy_hold(&pc, true);
	pthread_create(&thread, NULL, toucher, NULL);
	ck_assert_int_eq(fe_postcopy_wait_faults(&pc, 1, LONG_MS), 0);
	fe_postcopy_free(&pc);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(touched, 3);
	pc = (struct fe_postcopy){ .uffd = -1, .wake_fd = -1 };
	pthread_mutex_init(&pc.lock, NULL);
	pthread_cond_init(&pc.changed, NULL);
}
END_TEST

START_TEST(refused)
{
	answer_fds(28, NULL, 0, NULL, 0);
	ck_assert_int_eq(fe_postcopy_begin(&pc, &fe), -EIO);
	fe_postcopy_free(&pc);
	answer_fds(28, NULL, 0, &uffd, 1);
	answer_u64(29, 1);
	ck_assert_int_eq(fe_postcopy_begin(&pc, &fe), -EIO);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("frontend-postcopy");
	TCase *tc = tcase_create("postcopy");
	int fd = open_uffd();

	if (fd < 0) {
		printf("1..0 # SKIP no userfaultfd here: %s\n", strerror(errno));
		return 0;
	}
	close(fd);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, on_demand, 0, 2);
	tcase_add_test(tc, hold);
	tcase_add_test(tc, free_while_held);
	tcase_add_test(tc, refused);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
