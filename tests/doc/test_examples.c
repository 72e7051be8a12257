/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The example devices, as processes of their own, with our front-end at their sockets.  They are
 * those of the build, or those in the folder EXAMPLES with the library in EXAMPLES_LIBRARY.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frontend/frontend.h"
#include "tests/tap.h"

#define QUEUES_MAX 2
#define TEXT 128				/* as in template.c */

static char dir[] = "/tmp/libvhost-test-XXXXXX";	/* of the sockets, one after the other */

struct example {
	char path[64];
	pid_t pid;
	struct fe fe;
	struct fe_mem mem;
	struct fe_ring ring[QUEUES_MAX], *list[QUEUES_MAX];
	unsigned int n;
};

static void start(struct example *x, const char *name, unsigned int queues)
{
	const char *examples = getenv("EXAMPLES"), *library = getenv("EXAMPLES_LIBRARY");
	const char *top = getenv("top_builddir");
	char program[4096];

	*x = (struct example){ .n = queues };
	snprintf(x->path, sizeof(x->path), "%s/sock", dir);
	if (examples)
		snprintf(program, sizeof(program), "%s/%s", examples, name);
	else
		snprintf(program, sizeof(program), "%s/examples/%s", top ? top : "build/plain", name);
	x->pid = fork();
	ck_assert_int_ge(x->pid, 0);
	if (!x->pid) {
		if (library)
			setenv("LD_LIBRARY_PATH", library, 1);
		execl(program, name, x->path, NULL);
		_exit(127);
	}
}

static void up(struct example *x, uint64_t features)
{
	unsigned int i;

	ck_assert_int_eq(fe_connect(&x->fe, x->path), 0);
	ck_assert_int_eq(fe_mem_init(&x->mem, 0, 1 << 20), 0);
	ck_assert_int_eq(fe_negotiate(&x->fe, features | FE_BIT(VU_F_PROTOCOL_FEATURES) |
				      FE_BIT(VIRTIO_F_VERSION_1), ~UINT64_C(0)), 0);
	for (i = 0; i < x->n; i++) {
		const struct fe_ring_params params = {
			.index = i, .size = 16, .features = x->fe.features,
		};

		ck_assert_int_eq(fe_ring_init(&x->ring[i], &x->mem, &params), 0);
		x->list[i] = &x->ring[i];
	}
	ck_assert_int_eq(fe_start(&x->fe, &x->mem, x->list, x->n), 0);
}

static void down(struct example *x)
{
	unsigned int i;

	fe_close(&x->fe);
	for (i = 0; i < x->n; i++)
		fe_ring_free(&x->ring[i]);
	fe_mem_free(&x->mem);
}

/* It ends when it is told to, with success, and takes its socket along. */
static void end(struct example *x)
{
	int status;

	ck_assert_int_eq(kill(x->pid, SIGTERM), 0);
	ck_assert_int_eq(waitpid(x->pid, &status, 0), x->pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	ck_assert_int_eq(access(x->path, F_OK), -1);
}

/* Make a request available: the bytes of out, if any, and room for len bytes. */
static uint8_t *add(struct example *x, unsigned int q, const void *out, size_t nout, size_t len)
{
	uint8_t *in = fe_mem_alloc(&x->mem, len, 1);
	struct iovec i = { in, len }, o = { NULL, nout };

	if (nout) {
		o.iov_base = fe_mem_alloc(&x->mem, nout, 1);
		memcpy(o.iov_base, out, nout);
	}
	ck_assert_int_ge(fe_ring_add(&x->ring[q], &o, nout ? 1 : 0, &i, 1, in), 0);
	fe_ring_submit(&x->ring[q]);
	return in;
}

/* Expect the request whose room is in to be finished next. */
static uint32_t get(struct example *x, unsigned int q, const uint8_t *in)
{
	uint32_t len;
	void *cookie;

	ck_assert_int_eq(fe_ring_wait(&x->ring[q], FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_ring_get(&x->ring[q], &cookie, &len), 1);
	ck_assert_ptr_eq(cookie, in);
	return len;
}

START_TEST(rng)
{
	static const uint8_t zeroes[64];
	uint8_t *in, *other;
	struct example x;
	int i;

	start(&x, "rng", 1);
	for (i = 0; i < 2; i++) {
		up(&x, 0);
		in = add(&x, 0, NULL, 0, 64);
		ck_assert_uint_eq(get(&x, 0, in), 64);
		other = add(&x, 0, NULL, 0, 64);
		ck_assert_uint_eq(get(&x, 0, other), 64);
		ck_assert(memcmp(in, zeroes, 64));
		ck_assert(memcmp(in, other, 64));
		/* More than it gives at once; and nothing behind what it gives. */
		in = add(&x, 0, NULL, 0, 400);
		ck_assert_uint_eq(get(&x, 0, in), 256);
		ck_assert(!memcmp(in + 256, zeroes, 64));
		down(&x);
	}
	end(&x);
}
END_TEST

/* A request of the template: four bytes of delay, little endian, and a text. */
struct text {
	uint8_t delay[4];
	char text[20];
};

START_TEST(template_requests)
{
	const struct text now = { { 0 }, "at once" }, later = { { 50 }, "later" };
	uint8_t *slow, *fast;
	struct example x;

	start(&x, "template", 2);
	up(&x, FE_BIT(0));
	slow = add(&x, 0, &later, sizeof(later), 64);
	fast = add(&x, 0, &now, sizeof(now), 64);
	ck_assert_uint_eq(get(&x, 0, fast), 20);
	ck_assert_str_eq((char *)fast, "AT ONCE");
	ck_assert_uint_eq(get(&x, 0, slow), 20);
	ck_assert_str_eq((char *)slow, "LATER");
	/* Room for less than the text; and a text longer than the device takes. */
	fast = add(&x, 0, &now, sizeof(now), 2);
	ck_assert_uint_eq(get(&x, 0, fast), 2);
	fast = add(&x, 0, (char[4 + TEXT + 10]){ 0 }, 4 + TEXT + 10, 200);
	ck_assert_uint_eq(get(&x, 0, fast), TEXT);
	/* What is in work when the front-end leaves is finished before the end. */
	slow = add(&x, 0, &later, sizeof(later), 64);
	down(&x);
	end(&x);
}
END_TEST

START_TEST(template_without_its_feature)
{
	const struct text text = { { 255, 255, 255, 255 }, "never mind" };
	struct example x;
	uint8_t *in;

	start(&x, "template", 2);
	up(&x, 0);
	in = add(&x, 0, &text, sizeof(text), 64);
	ck_assert_uint_eq(get(&x, 0, in), 20);
	ck_assert_str_eq((char *)in, "NEVER MIND");
	/* No header: this queue breaks, and no other. */
	add(&x, 0, "abc", 3, 64);
	ck_assert_int_eq(fe_ring_wait_err(&x.ring[0], FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_sync(&x.fe), 0);
	in = add(&x, 1, NULL, 0, 4);
	ck_assert_int_eq(fe_set_config(&x.fe, 4, "abcd", 4, VU_CONFIG_WRITABLE), 0);
	ck_assert_uint_eq(get(&x, 1, in), 4);
	down(&x);
	end(&x);
}
END_TEST

START_TEST(template_events)
{
	uint8_t config[8], *first, *second;
	struct example x;

	start(&x, "template", 2);
	up(&x, 0);
	ck_assert_int_eq(fe_get_config(&x.fe, 0, config, 8), 0);
	ck_assert_mem_eq(config, "\200\0\0\0\0\0\0\0", 8);
	ck_assert_int_eq(fe_set_config(&x.fe, 0, "abcd", 4, VU_CONFIG_WRITABLE), -EIO);
	ck_assert_int_eq(fe_set_config(&x.fe, 4, "ab", 2, VU_CONFIG_WRITABLE), -EIO);
	/* A buffer which waits for an event, and an event which waits for a buffer. */
	first = add(&x, 1, NULL, 0, 4);
	ck_assert_int_eq(fe_set_config(&x.fe, 4, "abcd", 4, VU_CONFIG_WRITABLE), 0);
	ck_assert_uint_eq(get(&x, 1, first), 4);
	ck_assert_mem_eq(first, "abcd", 4);
	ck_assert_int_eq(fe_set_config(&x.fe, 4, "efgh", 4, VU_CONFIG_WRITABLE), 0);
	second = add(&x, 1, NULL, 0, 4);
	ck_assert_uint_eq(get(&x, 1, second), 4);
	ck_assert_mem_eq(second, "efgh", 4);
	ck_assert_int_eq(fe_get_config(&x.fe, 4, config, 4), 0);
	ck_assert_mem_eq(config, "efgh", 4);
	/* An event which nobody has waited for does not outlive its front-end. */
	ck_assert_int_eq(fe_set_config(&x.fe, 4, "ijkl", 4, VU_CONFIG_WRITABLE), 0);
	down(&x);
	up(&x, 0);
	first = add(&x, 1, NULL, 0, 4);
	ck_assert_int_eq(fe_set_config(&x.fe, 4, "mnop", 4, VU_CONFIG_WRITABLE), 0);
	ck_assert_uint_eq(get(&x, 1, first), 4);
	ck_assert_mem_eq(first, "mnop", 4);
	down(&x);
	end(&x);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("examples");
	TCase *tc = tcase_create("examples");
	char path[64];
	int ret;

	if (!mkdtemp(dir))
		return EXIT_FAILURE;
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, rng);
	tcase_add_test(tc, template_requests);
	tcase_add_test(tc, template_without_its_feature);
	tcase_add_test(tc, template_events);
	suite_add_tcase(suite, tc);
	ret = tap_main(suite);
	/* A program which a failure has left behind was ended by Check; its socket stays. */
	snprintf(path, sizeof(path), "%s/sock", dir);
	unlink(path);
	rmdir(dir);
	return ret;
}
