/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guest memory: memfds which are mapped here and handed to the back-end.
 *
 * Each mapping lies between two inaccessible pages.  So regions which touch each other as guest
 * addresses never do so in our address space, where the kernel likes to place mappings side by
 * side, and a test which writes behind a region dies of it.
 */
#include "config.h"

#include "frontend/frontend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t mem_page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* A new memfd of len bytes. */
static int mem_file(uint64_t len, unsigned int flags)
{
	int fd = memfd_create("guest memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int err;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)len) < 0)
		goto fail;
	if ((flags & FE_REGION_SEAL_SHRINK) && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		goto fail;
	return fd;
fail:
	err = -errno;
	close(fd);
	return err;
}

/* Map the region's bytes between two guard pages. */
static int mem_map(struct fe_region *r)
{
	uint64_t guard = mem_page_size();
	uint8_t *base;
	void *ptr;
	int err;

	base = mmap(NULL, r->size + 2 * guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED)
		return -errno;
	ptr = mmap(base + guard, r->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, r->fd,
		   (off_t)r->offset);
	if (ptr == MAP_FAILED) {
		err = -errno;
		munmap(base, r->size + 2 * guard);
		return err;
	}
	r->ptr = ptr;
	return 0;
}

static void mem_release(struct fe_region *r)
{
	uint64_t guard = mem_page_size();

	munmap(r->ptr - guard, r->size + 2 * guard);
	close(r->fd);
}

int fe_mem_add(struct fe_mem *mem, const struct fe_region_params *params)
{
	struct fe_region r = {
		.gpa = params->gpa,
		.size = params->size,
		.offset = params->offset,
	};
	struct fe_region *regions;
	int err;

	if (!r.size || (r.size | r.offset) % mem_page_size())
		return -EINVAL;
	regions = realloc(mem->regions, (mem->num + 1) * sizeof(r));
	if (!regions)
		return -ENOMEM;
	mem->regions = regions;
	r.fd = mem_file(r.offset + r.size, params->flags);
	if (r.fd < 0)
		return r.fd;
	err = mem_map(&r);
	if (err) {
		close(r.fd);
		return err;
	}
	r.uva = params->uva ? params->uva : (uintptr_t)r.ptr;
	mem->regions[mem->num] = r;
	return (int)mem->num++;
}

int fe_mem_init(struct fe_mem *mem, uint64_t gpa, uint64_t size)
{
	int i;

	*mem = (struct fe_mem){ 0 };
	i = fe_mem_add(mem, &(struct fe_region_params){ .gpa = gpa, .size = size });
	return i < 0 ? i : 0;
}

void fe_mem_del(struct fe_mem *mem, unsigned int i)
{
	mem_release(&mem->regions[i]);
	mem->num--;
	memmove(&mem->regions[i], &mem->regions[i + 1], (mem->num - i) * sizeof(*mem->regions));
}

void fe_mem_free(struct fe_mem *mem)
{
	while (mem->num)
		fe_mem_del(mem, mem->num - 1);
	free(mem->regions);
	*mem = (struct fe_mem){ 0 };
}

void *fe_mem_alloc_in(struct fe_mem *mem, unsigned int i, size_t len, size_t align)
{
	struct fe_region *r = &mem->regions[i];
	uint64_t pad = -(r->gpa + r->used) & (align - 1);
	void *ptr;

	if (pad > r->size - r->used || len > r->size - r->used - pad)
		return NULL;
	ptr = r->ptr + r->used + pad;
	r->used += pad + len;
	return memset(ptr, 0, len);
}

void *fe_mem_alloc(struct fe_mem *mem, size_t len, size_t align)
{
	unsigned int i;
	void *ptr;

	for (i = 0; i < mem->num; i++) {
		ptr = fe_mem_alloc_in(mem, i, len, align);
		if (ptr)
			return ptr;
	}
	return NULL;
}

/* The region which holds the len bytes at ptr. */
static const struct fe_region *mem_find(const struct fe_mem *mem, const void *ptr, size_t len)
{
	unsigned int i;

	for (i = 0; i < mem->num; i++) {
		const struct fe_region *r = &mem->regions[i];
		uint64_t off = (uintptr_t)ptr - (uintptr_t)r->ptr;

		if (off <= r->size && len <= r->size - off)
			return r;
	}
	return NULL;
}

uint64_t fe_mem_gpa(const struct fe_mem *mem, const void *ptr, size_t len)
{
	const struct fe_region *r = mem_find(mem, ptr, len);

	return r ? r->gpa + ((uintptr_t)ptr - (uintptr_t)r->ptr) : UINT64_MAX;
}

uint64_t fe_mem_uva(const struct fe_mem *mem, const void *ptr, size_t len)
{
	const struct fe_region *r = mem_find(mem, ptr, len);

	return r ? r->uva + ((uintptr_t)ptr - (uintptr_t)r->ptr) : UINT64_MAX;
}

void *fe_mem_ptr(const struct fe_mem *mem, uint64_t gpa, size_t len)
{
	unsigned int i;

	for (i = 0; i < mem->num; i++) {
		const struct fe_region *r = &mem->regions[i];
		uint64_t off = gpa - r->gpa;

		if (off < r->size && len <= r->size - off)
			return r->ptr + off;
	}
	return NULL;
}
