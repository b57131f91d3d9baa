#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <span>

#include <retrace/data/gzip.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/file.h>

namespace retrace::data {
namespace {

constexpr std::size_t kChunk = 64 << 10;
constexpr int kGzip = 16 + MAX_WBITS;  // asks zlib for gzip's frame, checksum included

bool starts_as_gzip(const InputFile& file) {
  std::array<unsigned char, 2> start{};
  if (file.size() >= 2) file.read(0, std::as_writable_bytes(std::span(start)));
  return start[0] == 0x1f && start[1] == 0x8b;
}

class Unpacker {
 public:
  Unpacker(const InputFile& file, const UnpackLimits& limits) : file_(file), limits_(limits) {
    require<ValueError>(inflateInit2(&stream_, kGzip) == Z_OK, "{}: no memory to unpack it",
                        file.path());
  }
  Unpacker(const Unpacker&) = delete;
  Unpacker& operator=(const Unpacker&) = delete;
  ~Unpacker() { inflateEnd(&stream_); }

  // Appends a chunk; false at the end of the file.
  bool unpack_some(std::string& text) {
    if (stream_.avail_in == 0 && !more_inside_ && !read_chunk()) {
      require<IoError>(ended_, "{}: the gzip file is cut short after {} bytes", file_.path(),
                       file_.size());
      return false;
    }
    if (ended_) start_next_member();
    inflate_some(text);
    return true;
  }

 private:
  bool read_chunk() {
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(packed_.size(), file_.size() - position_));
    file_.read(position_, std::as_writable_bytes(std::span(packed_).first(count)));
    position_ += count;
    stream_.next_in = packed_.data();
    stream_.avail_in = static_cast<uInt>(count);
    return count > 0;
  }

  // A gzip file may be several put one behind the other.
  void start_next_member() {
    require<IoError>(*stream_.next_in == 0x1f, "{}: something else follows the gzip data",
                     file_.path());
    inflateReset(&stream_);
    ended_ = false;
  }

  void inflate_some(std::string& text) {
    stream_.next_out = unpacked_.data();
    stream_.avail_out = static_cast<uInt>(unpacked_.size());
    const int status = inflate(&stream_, Z_NO_FLUSH);
    require<IoError>(status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR,
                     "{}: damaged gzip file: {}", file_.path(),
                     stream_.msg != nullptr ? stream_.msg : zError(status));
    ended_ = status == Z_STREAM_END;
    // A full buffer may leave more inside zlib than there is input.
    more_inside_ = !ended_ && stream_.avail_out == 0;
    const std::size_t count = unpacked_.size() - stream_.avail_out;
    bytes_ += count;
    check_limits();
    text.append(reinterpret_cast<const char*>(unpacked_.data()), count);
  }

  void check_limits() {
    require<IoError>(bytes_ <= limits_.bytes, "{}: unpacks to more than the limit of {} bytes",
                     file_.path(), limits_.bytes);
    const double ratio = static_cast<double>(bytes_) / static_cast<double>(file_.size());
    require<IoError>(bytes_ <= limits_.free_bytes || ratio <= limits_.ratio,
                     "{}: unpacks to more than {} times its size; unpack it yourself if it is "
                     "meant to",
                     file_.path(), limits_.ratio);
  }

  const InputFile& file_;
  UnpackLimits limits_;
  z_stream stream_{};
  std::uint64_t position_ = 0, bytes_ = 0;  // read, unpacked
  bool ended_ = false, more_inside_ = false;
  std::array<Bytef, kChunk / 4> packed_{};
  std::array<Bytef, kChunk> unpacked_{};
};

}  // namespace

struct FileReader::Source {
  explicit Source(const std::string& path) : file(path) {}

  InputFile file;
  std::uint64_t position = 0;  // of a plain file
  // On the heap: threads may have small stacks.
  std::unique_ptr<Unpacker> unpacker = {};
};

FileReader::FileReader(const std::string& path, const UnpackLimits& limits)
    : source_(std::make_unique<Source>(path)) {
  if (starts_as_gzip(source_->file))
    source_->unpacker = std::make_unique<Unpacker>(source_->file, limits);
}

FileReader::~FileReader() = default;

bool FileReader::read(std::string& contents, std::size_t bytes) {
  const std::size_t before = contents.size();
  if (source_->unpacker) {
    while (contents.size() - before < bytes && source_->unpacker->unpack_some(contents)) continue;
  } else {
    const auto count = static_cast<std::size_t>(
        std::min<std::uint64_t>(bytes, source_->file.size() - source_->position));
    contents.resize(before + count);
    source_->file.read(source_->position,
                       std::as_writable_bytes(std::span(contents).subspan(before)));
    source_->position += count;
  }
  return contents.size() > before;
}

std::string read_plain_or_gzip(const std::string& path, const UnpackLimits& limits) {
  std::string contents;
  FileReader(path, limits).read(contents, std::numeric_limits<std::size_t>::max());
  return contents;
}

void write_gzip(const std::string& path, std::string_view contents) {
  OutputFile file(path);
  z_stream stream{};
  require<ValueError>(deflateInit2(&stream, 9, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) == Z_OK,
                      "{}: no memory to pack it", path);
  const std::unique_ptr<z_stream, int (*)(z_stream*)> owner(&stream, deflateEnd);
  std::string packed(kChunk, '\0');
  std::string_view rest = contents;
  int status = Z_OK;
  do {
    if (stream.avail_in == 0) {
      const std::string_view piece = rest.substr(0, std::min(rest.size(), kChunk));
      rest.remove_prefix(piece.size());
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
      stream.avail_in = static_cast<uInt>(piece.size());
    }
    stream.next_out = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_out = static_cast<uInt>(packed.size());
    status = deflate(&stream, rest.empty() ? Z_FINISH : Z_NO_FLUSH);
    file.write(std::string_view(packed).substr(0, packed.size() - stream.avail_out));
  } while (status == Z_OK);
  require<IoError>(status == Z_STREAM_END, "{}: cannot pack: {}", path, zError(status));
  file.commit();
}

}  // namespace retrace::data
