/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Postcopy: memory which arrives while it is used (vhost-user, "Migration").
 *
 * The front-end gets a userfaultfd of ours.  When memory comes after POSTCOPY_LISTEN, it is
 * told where we have mapped it, so that it can tell pages by their faults; until it has
 * taken note of that, which it says with a message of its own, nothing may touch a page.  So the
 * regions are staged: mapped without any access, in a map which no queue knows.  Then
 * they are registered, and used as ever.
 *
 * Whoever touches a page that is missing waits in the kernel until the front-end
 * delivers it.  The control worker touches no guest memory, and neither should callbacks which
 * run there; a ring is started on its queue's worker.  A device whose queues are served by
 * the control worker does wait there, and with it all that the worker serves.
 *
 * When the front-end leaves meanwhile, what is missing will never come.  Zeroes in its place
 * would be written to disks: so all the memory is replaced by what cannot be read, as if it had
 * been truncated; see vhost_mem_fault().
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/*
 * The userfaultfd
 */

/* One which also stops the kernel on our behalf, unlike UFFD_USER_MODE_ONLY. */
static int uffd_open(void)
{
	int flags = O_CLOEXEC | O_NONBLOCK, fd = (int)syscall(SYS_userfaultfd, flags);
#ifdef USERFAULTFD_IOC_NEW
	int dev = fd < 0 ? open("/dev/userfaultfd", O_RDWR | O_CLOEXEC) : -1;

	if (dev >= 0)
		fd = ioctl(dev, USERFAULTFD_IOC_NEW, flags);
	close_fd(&dev);
#endif
	return fd;
}

static int uffd_new(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = uffd_open();

	if (fd >= 0 && (ioctl(fd, UFFDIO_API, &api) ||
			!(api.features & UFFD_FEATURE_MISSING_SHMEM)))
		close_fd(&fd);
	return fd;
}

/* Otherwise a front-end which leaves would take the process along. */
static bool sigbus_is_handled(void)
{
	struct sigaction sa;

	return !sigaction(SIGBUS, NULL, &sa) &&
	       (sa.sa_flags & SA_SIGINFO || (sa.sa_handler != SIG_DFL && sa.sa_handler != SIG_IGN));
}

bool postcopy_available(void)
{
	int fd = sigbus_is_handled() ? uffd_new() : -1;
	bool available = fd >= 0;

	close_fd(&fd);
	return available;
}

static int postcopy_register(void *arg, void *va, size_t len)
{
	struct uffdio_register reg = {
		.range = { (uintptr_t)va, len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct postcopy *pc = arg;

	/* A huge page would bring neighbours along.  Not for hugetlbfs, where they are one page. */
	madvise(va, len, MADV_NOHUGEPAGE);
	if (ioctl(pc->uffd, UFFDIO_REGISTER, &reg))
		return -errno;
	return reg.ioctls & (1u << _UFFDIO_COPY) ? 0 : -EOPNOTSUPP;
}

static void postcopy_unregister(void *arg, void *va, size_t len)
{
	struct uffdio_range range = { (uintptr_t)va, len };
	struct postcopy *pc = arg;

	/* Wakes whoever waits.  Memory which was not registered does not mind. */
	ioctl(pc->uffd, UFFDIO_UNREGISTER, &range);
}

/*
 * Put an empty file in place of a mapping which others use right now.  Not by MAP_FIXED, which
 * the thread sanitizer takes for a write.
 */
static bool postcopy_replace(const struct postcopy *pc, void *va, size_t len)
{
	void *empty = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, pc->nothing_fd, 0);

	if (empty == MAP_FAILED)
		return false;
	if (mremap(empty, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, va) != MAP_FAILED)
		return true;
	munmap(empty, len);
	return false;
}

static void postcopy_lose(void *arg, void *va, size_t len)
{
	struct uffdio_range range = { (uintptr_t)va, len };
	struct postcopy *pc = arg;

	/* Should that fail, for want of memory, the pages are at least not waited for any more. */
	if (postcopy_replace(pc, va, len))
		ioctl(pc->uffd, UFFDIO_WAKE, &range);
	else
		postcopy_unregister(arg, va, len);
}

/*
 * Life
 */

void postcopy_init(struct postcopy *pc)
{
	*pc = (struct postcopy){ .uffd = -1, .nothing_fd = -1 };
}

static void postcopy_exit(struct postcopy *pc)
{
	if (pc->staged)
		mem_map_discard(pc->staged);
	close_fd(&pc->uffd);
	close_fd(&pc->nothing_fd);
	postcopy_init(pc);
}

void postcopy_abort(struct vhost_dev *dev)
{
	struct postcopy *pc = &dev->postcopy;

	if (pc->listening)
		mem_for_each(&dev->mem, postcopy_lose, pc);
	postcopy_exit(pc);
}

/*
 * Memory
 */

int postcopy_stage(struct vhost_dev *dev, struct mem_change *change)
{
	struct postcopy *pc = &dev->postcopy;
	struct mem_map *map;
	int ret;

	change->guarded = true;
	change->from = pc->staged;
	ret = mem_map_new(&dev->mem, change, &map);
	if (ret)
		return ret;
	if (pc->staged)
		mem_map_discard(pc->staged);
	pc->staged = map;
	pc->replaces = !change->keep;
	return 0;
}

uint64_t postcopy_address(const struct vhost_dev *dev, uint64_t gpa)
{
	uint64_t len = 1;
	unsigned int hit = 0;

	return (uintptr_t)mem_find(dev->postcopy.staged, &hit, gpa, &len);
}

int postcopy_go_ahead(struct vhost_dev *dev, const struct msg *msg)
{
	struct postcopy *pc = &dev->postcopy;
	struct mem_map *map = pc->staged;
	int ret;

	if (!pc->listening || msg->nfds || msg->payload.u64)
		return -EINVAL;
	/* A change without new memory has it, too. */
	if (!map)
		return 0;
	ret = mem_map_open(map, postcopy_register, pc);
	if (ret)
		return ret;
	pc->staged = NULL;
	return proto_use_map(dev, map, pc->replaces);
}

/*
 * Messages
 */

int proto_postcopy_advise(struct vhost_dev *dev, struct msg *msg)
{
	struct postcopy *pc = &dev->postcopy;
	int fd = -1;

	if (!pc->listening) {
		postcopy_exit(pc);
		pc->uffd = uffd_new();
		pc->nothing_fd = memfd_create("libvhost-nothing", MFD_CLOEXEC);
		if (pc->nothing_fd >= 0 && pc->uffd >= 0)
			fd = fcntl(pc->uffd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			postcopy_exit(pc);
	}
	/* "Communication": no fd is this message's error. */
	if (fd >= 0)
		proto_reply_fd(dev, fd);
	else
		dev_log(dev, VHOST_LOG_WARN, "postcopy is not possible now");
	msg->header.size = 0;
	return PROTO_REPLY;
}

int proto_postcopy_listen(struct vhost_dev *dev, struct msg *msg)
{
	struct postcopy *pc = &dev->postcopy;

	(void)msg;
	if (pc->uffd < 0)
		return -EINVAL;
	/* Memory which is there already may have been touched. */
	if (pc->listening || (dev->mem.map && dev->mem.map->count))
		return -EBUSY;
	pc->listening = true;
	return 0;
}

int proto_postcopy_end(struct vhost_dev *dev, struct msg *msg)
{
	struct postcopy *pc = &dev->postcopy;

	/* The front-end still owes us a word on memory which it wants to be used. */
	if (pc->staged)
		return -EBUSY;
	msg->payload.u64 = pc->uffd < 0;
	if (pc->listening)
		mem_for_each(&dev->mem, postcopy_unregister, pc);
	postcopy_exit(pc);
	return PROTO_REPLY;
}

/* What QEMU sends as go-ahead where the memory has not changed at all: no message. */
int proto_postcopy_none(struct vhost_dev *dev, struct msg *msg)
{
	return postcopy_go_ahead(dev, msg);
}
