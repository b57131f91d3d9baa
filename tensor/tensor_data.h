#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include <retrace/tensor/dtype.h>
#include <retrace/tensor/ref.h>
#include <retrace/tensor/shape.h>
#include <retrace/tensor/storage.h>

namespace retrace {

class Node;  // autograd/node.h: the op that produced a tensor. Stored here, never looked into.
/// For Ref, and for messages.
void retain(Node* node);
void release(Node* node);
std::string_view node_name(const Node& node);

struct LeafHooks;  // autograd/notes.h
struct TensorData;
/// Tells the tape that a tensor with a retained gradient or with hooks is gone.
void forget_tensor(TensorData& tensor);

/// What a Tensor points to. Copies of a Tensor share it, gradient included.
struct TensorData {
  RefCount references;
  DType dtype = DType::float32;
  bool contiguous = true;      ///< row-major without gaps
  bool requires_grad = false;  ///< a leaf that wants a gradient
  bool retains_grad = false;   ///< an inner tensor that keeps the gradient passing through it
  bool is_view = false;        ///< shares its storage with the tensor that it was made from
  bool recorded_view = false;  ///< counted in storage->recorded_views
  bool redirected = false;     ///< a copy of it is being made (see clone_scope.h)
  bool was_leaf = false;       ///< it wanted a gradient once: graphs may lead to it still
  std::uint32_t output = 0;    ///< which of the producer's outputs it is
  std::int64_t numel = 0;
  std::byte* data = nullptr;  ///< first element, inside the storage
  Shape sizes;
  Strides strides;
  Ref<Storage> storage;
  Ref<Node> producer;          ///< the recorded op that made it; null for leaves and constants
  LeafHooks* hooks = nullptr;  ///< of a leaf; owned
  Ref<TensorData> grad;        ///< of a leaf, or of an inner tensor that retains it
  std::atomic<std::uint64_t> identity{0};  ///< see identity_of; 0: nobody asked yet

  /// Computed on the tape: its numbers cannot be exchanged for others.
  bool is_recorded() const { return producer || recorded_view; }

  static void* operator new(std::size_t bytes);
  static void operator delete(void* block) noexcept;
};

/// The tensor's own number, which no other ever has: for those who are to know it again without
/// keeping it, since the engine asks how many keep a tensor.
std::uint64_t identity_of(TensorData& tensor);

/// For Ref.
void destroy(TensorData* tensor) noexcept;
inline void retain(TensorData* tensor) { tensor->references.add(); }
inline void release(TensorData* tensor) {
  if (tensor->references.drop()) destroy(tensor);
}

}  // namespace retrace
