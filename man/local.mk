# SPDX-License-Identifier: BSD-3-Clause
# Manual pages.
man1_MANS += man/vhost-bench.1 man/vhost-probe.1 \
	man/vhost-user-blk.1 man/vhost-user-net.1 man/vhost-user-scsi.1 man/vhostctl.1
man3_MANS = man/libvhost.3 man/vhost_dev.3 man/vhost_queue.3 man/vhost_req.3 man/vhost_worker.3
man7_MANS = man/vhost-user-security.7 man/vhost-user-service.7
EXTRA_DIST += $(man1_MANS) $(man3_MANS) $(man7_MANS)

# Each function is the name of a page too, which refers to the one that tells about it.
man_aliases = for page in $(man3_MANS); do \
	name=$${page\#man/}; \
	$(SED) -n 's/^\.Nm \(vhost_[a-z_]*\).*/\1/p;/^\.Nd/q' $(srcdir)/$$page | while read -r alias; do \
		test "$$alias.3" = "$$name" || echo "$$alias.3 $$name"; \
	done; \
done

install-data-hook:
	@$(man_aliases) | while read -r alias name; do \
		echo ".so man3/$$name" >"$(DESTDIR)$(man3dir)/$$alias" || exit 1; \
	done

uninstall-hook:
	@$(man_aliases) | while read -r alias name; do \
		rm -f "$(DESTDIR)$(man3dir)/$$alias"; \
	done
