/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Storage with several channels on several threads, and neighbours within a block: writes
 * smaller than the file's block must not undo each other.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage_fixture.h"

#define SECTOR		512u
#define CHANS		2u
#define WRITERS		8u		/* of each channel */
#define ROUNDS		24u
#define BLOCK		4096u

/* It writes its own sector, again and again, with the number of the round. */
struct writer {
	struct storage_io io;
	struct iovec iov;
	struct party *party;
	unsigned int round;
	unsigned char data[SECTOR] __attribute__((aligned(BLOCK)));
};

/* A thread with a channel and its writers. */
struct party {
	struct storage *st;
	struct storage_chan *chan;
	struct vhost_worker *worker;
	struct writer *writers;
	unsigned int left;		/* writers which have not finished */
	sem_t finished;
};

static void writer_next(struct writer *w)
{
	w->round++;
	memset(w->data, (int)w->round, sizeof(w->data));
	storage_submit(w->party->chan, &w->io);
}

static void writer_done(struct storage_io *io, int err)
{
	struct writer *w = container_of(io, struct writer, io);

	ck_assert_int_eq(err, 0);
	if (w->round < ROUNDS) {
		writer_next(w);
		storage_commit(w->party->chan);
	} else if (!--w->party->left) {
		sem_post(&w->party->finished);
	}
}

static void party_begin(void *arg)
{
	struct party *p = arg;
	unsigned int i;

	ck_assert_int_eq(storage_chan_open(p->st, p->worker, &p->chan), 0);
	p->left = WRITERS;
	for (i = 0; i < WRITERS; i++)
		writer_next(&p->writers[i]);
	storage_commit(p->chan);
}

static void party_end(void *arg)
{
	struct party *p = arg;

	storage_chan_close(p->chan);
}

/* Sectors are dealt out in turn, so that every block belongs to both channels. */
static void party_init(struct party *p, struct storage *st, unsigned int n)
{
	unsigned int i;

	p->st = st;
	p->writers = aligned_alloc(BLOCK, WRITERS * sizeof(struct writer));
	ck_assert_ptr_nonnull(p->writers);
	memset(p->writers, 0, WRITERS * sizeof(struct writer));
	for (i = 0; i < WRITERS; i++) {
		struct writer *w = &p->writers[i];

		w->party = p;
		w->iov = (struct iovec){ w->data, SECTOR };
		w->io.op = STORAGE_WRITE;
		w->io.offset = (i * CHANS + n) * SECTOR;
		w->io.len = SECTOR;
		w->io.iov = &w->iov;
		w->io.iovcnt = 1;
		w->io.done = writer_done;
	}
	ck_assert_int_eq(sem_init(&p->finished, 0, 0), 0);
	ck_assert_int_eq(vhost_worker_new(&p->worker, NULL), 0);
	/* one of them polls */
	vhost_worker_set_poll(p->worker, n ? 50 : 0);
	ck_assert_int_eq(vhost_worker_start(p->worker, "party"), 0);
}

static void party_free(struct party *p)
{
	vhost_worker_call(p->worker, party_end, p);
	vhost_worker_stop(p->worker);
	vhost_worker_free(p->worker);
	sem_destroy(&p->finished);
	free(p->writers);
}

static void neighbours_test(int i, unsigned int align)
{
	struct storage_params params = { .align = align };
	unsigned char got[CHANS * WRITERS * SECTOR];
	struct party parties[CHANS];
	unsigned int n, b;
	struct fx fx;

	if (!fx_open_way(&fx, i, 1 << 20, &params))
		return;
	for (n = 0; n < CHANS; n++)
		party_init(&parties[n], fx.st, n);
	for (n = 0; n < CHANS; n++)
		vhost_worker_call(parties[n].worker, party_begin, &parties[n]);
	for (n = 0; n < CHANS; n++) {
		while (sem_wait(&parties[n].finished))
			;
	}
	for (n = 0; n < CHANS; n++)
		party_free(&parties[n]);
	ck_assert_int_eq(fx_do(&fx, STORAGE_READ, 0, 0, sizeof(got), got), 0);
	for (b = 0; b < sizeof(got); b++)
		ck_assert_msg(got[b] == ROUNDS, "byte %u is of round %u", b, got[b]);
	fx_close(&fx);
}

START_TEST(neighbours)
{
	neighbours_test(_i, 0);
}
END_TEST

START_TEST(neighbours_in_a_block)
{
	neighbours_test(_i, BLOCK);
}
END_TEST

/*
 * A whole block and one of its sectors are written at the same time.  Which of both the
 * sector holds then is open; the others hold what belongs to the block.
 */
START_TEST(block_and_sector)
{
	struct storage_params p = { .align = BLOCK };
	unsigned char *block = aligned_alloc(BLOCK, BLOCK), *sector = aligned_alloc(BLOCK, BLOCK);
	unsigned char *got = aligned_alloc(BLOCK, BLOCK);
	struct fx_op whole, part;
	unsigned int round, b;
	struct fx fx;

	if (!fx_open_way(&fx, _i, 1 << 20, &p))
		return;
	for (round = 1; round <= 40; round++) {
		memset(block, (int)round, BLOCK);
		memset(sector, 255, SECTOR);
		if (round % 2) {
			fx_start(&fx, &part, STORAGE_WRITE, 0, 3 * SECTOR, SECTOR, sector);
			storage_commit(fx.chan);
			fx_start(&fx, &whole, STORAGE_WRITE, 0, 0, BLOCK, block);
		} else {
			fx_start(&fx, &whole, STORAGE_WRITE, 0, 0, BLOCK, block);
			fx_start(&fx, &part, STORAGE_WRITE, 0, 3 * SECTOR, SECTOR, sector);
		}
		ck_assert_int_eq(fx_wait(&fx, &whole), 0);
		ck_assert_int_eq(fx_wait(&fx, &part), 0);
		ck_assert_int_eq(fx_do(&fx, STORAGE_READ, 0, 0, BLOCK, got), 0);
		for (b = 0; b < BLOCK; b++) {
			ck_assert_msg(got[b] == round || (b / SECTOR == 3 && got[b] == 255),
				      "round %u: byte %u is %u", round, b, got[b]);
		}
	}
	fx_close(&fx);
	free(block);
	free(sector);
	free(got);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("storage");
	TCase *tc = tcase_create("rmw");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, neighbours, 0, FX_ENGINE_WAYS);
	tcase_add_loop_test(tc, neighbours_in_a_block, 0, FX_ENGINE_WAYS);
	tcase_add_loop_test(tc, block_and_sector, 0, FX_ENGINE_WAYS);
	suite_add_tcase(s, tc);
	return fx_main(s);
}
