/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Helper threads: a queue which all of an image's channels fill and a few threads empty.
 *
 * What a channel submits is gathered and handed over at its commit, with one lock and as
 * many wake-ups as there are operations, or idle threads.  A thread which has finished an
 * operation puts it on the list of its channel; the eventfd is written, once, when this
 * list becomes non-empty, and the channel's worker takes the list as a whole.
 */
#include "storage/pool.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "storage/sync.h"

#define POOL_STACK	(256u << 10)

struct pool_thread {
	struct pool *pool;
	pthread_t thread;
	struct sync_scratch scratch;
};

struct pool {
	struct file *file;
	struct pool_thread *threads;
	unsigned int count;		/* of threads which run */

	pthread_mutex_t lock;		/* of all below */
	pthread_cond_t more;		/* queue is not empty, or stop */
	struct io_list queue;
	unsigned int idle;		/* threads which wait for more */
	bool stop;
};

/*
 * Threads
 */

/* The next operation; NULL: the thread is to end. */
static struct storage_io *pool_next(struct pool *pool)
{
	struct storage_io *io;

	pthread_mutex_lock(&pool->lock);
	while (!pool->queue.head && !pool->stop) {
		pool->idle++;
		pthread_cond_wait(&pool->more, &pool->lock);
		pool->idle--;
	}
	io = io_list_take(&pool->queue);
	pthread_mutex_unlock(&pool->lock);
	return io;
}

static void pool_tell(struct storage_io *io, int err)
{
	struct pool_chan *pc = io->engine.ptr[0];

	io->result = err;
	io->how |= HOW_HELPED;
	/* The eventfd is written with the lock held: as soon as the worker has seen the list,
	 * it may close the channel. */
	pthread_mutex_lock(&pc->lock);
	if (!pc->done.head) {
		atomic_store_explicit(&pc->any_done, true, memory_order_relaxed);
		eventfd_write(pc->fd, 1);
	}
	io_list_add(&pc->done, io);
	pthread_mutex_unlock(&pc->lock);
}

static void *pool_thread(void *arg)
{
	struct pool_thread *t = arg;
	struct storage_io *io;

	/* By itself: from elsewhere that takes a file of /proc, which a sandbox may not allow. */
	pthread_setname_np(pthread_self(), "storage");
	while ((io = pool_next(t->pool)))
		pool_tell(io, sync_run(t->pool->file, &t->scratch, io));
	return NULL;
}

static int pool_start_thread(struct pool *pool, const pthread_attr_t *attr)
{
	struct pool_thread *t = &pool->threads[pool->count];
	int err;

	t->pool = pool;
	err = sync_scratch_init(&t->scratch, pool->file);
	if (err)
		return err;
	err = -pthread_create(&t->thread, attr, pool_thread, t);
	if (err) {
		sync_scratch_free(&t->scratch);
		return err;
	}
	pool->count++;
	return 0;
}

/* All signals but those which a fault of the very thread raises. */
static void pool_block_signals(sigset_t *old)
{
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, SIGBUS);
	sigdelset(&set, SIGSEGV);
	sigdelset(&set, SIGFPE);
	sigdelset(&set, SIGILL);
	sigdelset(&set, SIGTRAP);
	pthread_sigmask(SIG_SETMASK, &set, old);
}

static int pool_start_threads(struct pool *pool, unsigned int count)
{
	pthread_attr_t attr;
	sigset_t old;
	int err;

	err = -pthread_attr_init(&attr);
	if (err)
		return err;
	pthread_attr_setstacksize(&attr, POOL_STACK);
	pool_block_signals(&old);
	while (pool->count < count && !err)
		err = pool_start_thread(pool, &attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return err;
}

int pool_new(struct pool **pool_out, struct file *f, unsigned int threads)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	int err;

	if (!pool)
		return -ENOMEM;
	pool->file = f;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->more, NULL);
	pool->threads = calloc(threads, sizeof(*pool->threads));
	err = pool->threads ? pool_start_threads(pool, threads) : -ENOMEM;
	if (err) {
		pool_free(pool);
		return err;
	}
	*pool_out = pool;
	return 0;
}

void pool_free(struct pool *pool)
{
	unsigned int i;

	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->more);
	pthread_mutex_unlock(&pool->lock);
	for (i = 0; i < pool->count; i++) {
		pthread_join(pool->threads[i].thread, NULL);
		sync_scratch_free(&pool->threads[i].scratch);
	}
	pthread_cond_destroy(&pool->more);
	pthread_mutex_destroy(&pool->lock);
	free(pool->threads);
	free(pool);
}

/*
 * Channels
 */

static bool pool_look(struct notify *n)
{
	struct pool_chan *pc = container_of(n, struct pool_chan, notify);
	struct io_list done = { NULL, NULL };
	struct storage_io *io;

	if (!atomic_load_explicit(&pc->any_done, memory_order_relaxed))
		return false;
	pthread_mutex_lock(&pc->lock);
	atomic_store_explicit(&pc->any_done, false, memory_order_relaxed);
	io_list_move(&done, &pc->done);
	pthread_mutex_unlock(&pc->lock);
	while ((io = io_list_take(&done)))
		merge_complete(io, io->result);
	storage_commit(pc->chan);
	return true;
}

int pool_chan_open(struct pool_chan *pc, struct pool *pool, struct storage_chan *chan)
{
	int err;

	pc->pool = pool;
	pc->chan = chan;
	pc->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pc->fd < 0)
		return -errno;
	err = notify_open(&pc->notify, chan->worker, pc->fd, EV_ET, pool_look);
	if (err) {
		close_fd(&pc->fd);
		return err;
	}
	pthread_mutex_init(&pc->lock, NULL);
	return 0;
}

void pool_chan_close(struct pool_chan *pc)
{
	/* The thread which told us last may still hold it. */
	pthread_mutex_lock(&pc->lock);
	pthread_mutex_unlock(&pc->lock);
	pthread_mutex_destroy(&pc->lock);
	notify_close(&pc->notify);
	close_fd(&pc->fd);
}

void pool_submit(struct pool_chan *pc, struct storage_io *io)
{
	io->engine.ptr[0] = pc;
	io_list_add(&pc->gathered, io);
	pc->gathered_cnt++;
}

void pool_commit(struct pool_chan *pc)
{
	struct pool *pool = pc->pool;
	unsigned int wake;

	if (!pc->gathered_cnt)
		return;
	pthread_mutex_lock(&pool->lock);
	io_list_move(&pool->queue, &pc->gathered);
	wake = MIN(pc->gathered_cnt, pool->idle);
	pc->gathered_cnt = 0;
	pthread_mutex_unlock(&pool->lock);
	while (wake--)
		pthread_cond_signal(&pool->more);
}
