#include <retrace/tensor/pool.h>
#include <retrace/tensor/storage.h>

#include <new>

namespace retrace {
namespace {

constexpr std::int64_t kHeader = 64;
static_assert(sizeof(Storage) <= kHeader);

}  // namespace

Ref<Storage> allocate_storage(std::int64_t bytes) {
  auto* block = static_cast<std::byte*>(pool_allocate(static_cast<std::size_t>(bytes + kHeader)));
  auto* storage = new (block) Storage;
  storage->bytes = bytes;
  storage->data = block + kHeader;
  return Ref<Storage>::adopt(storage);
}

Ref<Storage> borrow_storage(void* data, std::int64_t bytes, std::shared_ptr<void> owner) {
  auto* storage = new (pool_allocate(static_cast<std::size_t>(kHeader))) Storage;
  storage->bytes = bytes;
  storage->data = static_cast<std::byte*>(data);
  storage->owner = std::move(owner);
  return Ref<Storage>::adopt(storage);
}

void destroy(Storage* storage) noexcept {
  const bool borrowed = storage->owner != nullptr;
  const std::size_t size = static_cast<std::size_t>(kHeader + (borrowed ? 0 : storage->bytes));
  storage->~Storage();
  pool_free(storage, size);
}

}  // namespace retrace
