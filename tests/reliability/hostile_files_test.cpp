// Files that are damaged, cut short or made to do harm: an IoError with the path in one line, or
// what the file says, and nothing else. The sanitizers watch for what a test cannot see.
#include <doctest/doctest.h>

#include <retrace/data/data.h>
#include <retrace/retrace.h>
#include <retrace/tensor/safetensors_header.h>
#include <retrace/tests/files.h>
#include <retrace/train/classifier.h>
#include <retrace/train/language_model.h>
#include <retrace/train/saved_model.h>
#include <retrace/train/transformer_config.h>

#include <functional>

using namespace retrace;
using testing::contents_of;
using testing::message_of;
using testing::says;
using testing::TemporaryFolder;

namespace {

using Read = std::function<void(const std::string& path)>;

/// Reads the contents as a file: either that works, or an IoError in one line begins with the path.
void attack(const TemporaryFolder& folder, const std::string& name, const std::string& contents,
            const Read& read, int& refused) {
  const std::string path = folder.put(name, contents);
  try {
    read(path);
  } catch (const IoError& error) {
    const std::string message = error.what();
    CHECK_MESSAGE(message.starts_with(folder.path()), message);
    CHECK_MESSAGE(message.find('\n') == std::string::npos, message);
    CHECK_MESSAGE(message.size() < 1000, message);
    ++refused;
  } catch (const std::exception& error) {
    FAIL_CHECK("not an IoError: " << error.what());
  }
}

/// The file cut at every length, with every byte replaced by several others, and with a byte put
/// in.
void attack_everywhere(const std::string& name, const std::string& contents, const Read& read) {
  const TemporaryFolder folder;
  int refused = 0;
  read(folder.put(name, contents));
  for (std::size_t n = 0; n < contents.size(); ++n)
    attack(folder, name, contents.substr(0, n), read, refused);
  for (std::size_t i = 0; i < contents.size(); ++i) {
    for (const char byte : {'\0', '\xff', '"', '[', '9', '-', '\n'}) {
      std::string changed = contents;
      changed[i] = byte;
      attack(folder, name, changed, read, refused);
    }
    attack(folder, name, std::string(contents).insert(i, 1, '9'), read, refused);
    attack(folder, name, std::string(contents).erase(i, 1), read, refused);
  }
  CHECK(refused > 0);
}

std::string written(const std::function<void(const std::string& path)>& write) {
  const TemporaryFolder folder;
  write(folder / "x");
  return contents_of(folder / "x");
}

std::string packed(const std::string& contents) {
  return written([&](const std::string& path) { data::write_gzip(path, contents); });
}

}  // namespace

TEST_CASE("npy files, attacked everywhere") {
  for (const Tensor& x : {arange(6).reshape({2, 3}), zeros({}), zeros({0, 3}), ones({2}, kBool)})
    attack_everywhere("x.npy", written([&](const std::string& path) { save_npy(path, x); }),
                      load_npy);
}

TEST_CASE("safetensors files, attacked everywhere") {
  const StateDict state = {{"a", arange(3)}, {"b", ones({2, 2})}, {"c", zeros({0}, kBool)}};
  attack_everywhere("x.safetensors",
                    written([&](const std::string& path) { save_safetensors(path, state); }),
                    load_safetensors);
  const std::string header =
      R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"__metadata__":{"k":"v"}})";
  std::string foreign(8, '\0');
  foreign[0] = static_cast<char>(header.size());
  attack_everywhere("x.safetensors", foreign + header + "1234", load_safetensors);
}

TEST_CASE("IDX files, attacked everywhere") {
  attack_everywhere("x", written([](const std::string& path) {
                      data::write_idx(path, ones({2, 1, 3}, kInt64));
                    }),
                    data::read_idx);
  attack_everywhere("x", written([](const std::string& path) {
                      data::write_idx(path, ones({2, 2}));
                    }),
                    data::read_idx);
}

TEST_CASE("CSV files, attacked everywhere") {
  const Read read = [](const std::string& path) { data::read_csv(path); };
  const Read headless = [](const std::string& path) { data::read_csv(path, {.header = false}); };
  attack_everywhere("x.csv", "a,b,\"c \"\"d\"\"\"\r\n1,x,\"2\n3\"\n,1e5,-7\n", read);
  attack_everywhere("x.csv", "1,2\n3,4", headless);
}

TEST_CASE("gzip files, attacked everywhere") {
  const std::string text = "a,b\n1,2\n3,4\n";
  attack_everywhere("x.csv.gz", packed(text), [&](const std::string& path) {
    // What is not refused unpacks to the same, for the rest is name, time and system; or its first
    // bytes were hit, and it is a text of its own.
    const std::string unpacked = data::read_plain_or_gzip(path);
    CHECK((unpacked == text || unpacked == contents_of(path)));
  });
  attack_everywhere("x.gz", packed("a,b\n") + packed("1,2\n"),
                    [](const std::string& path) { data::read_plain_or_gzip(path); });
}

TEST_CASE("tokenizers, attacked everywhere") {
  const Read load = [](const std::string& path) {
    data::Tokenizer::load(std::filesystem::path(path).parent_path().string());
  };
  data::Tokenizer characters = data::Tokenizer::characters("a\u00e9\"\n");
  characters.add_special("<|x|>");
  const TemporaryFolder folder;
  characters.save(folder.path());
  attack_everywhere("vocab.json", contents_of(folder / "vocab.json"), load);

  data::Tokenizer::bpe("the the the he", 5).save(folder.path());
  const std::string vocabulary = contents_of(folder / "vocab.json");
  attack_everywhere("merges.txt", contents_of(folder / "merges.txt"), [&](const std::string& path) {
    const auto beside = std::filesystem::path(path).replace_filename("vocab.json");
    std::ofstream(beside, std::ios::binary) << vocabulary;
    load(path);
  });
}

TEST_CASE("JSONL files, attacked everywhere") {
  attack_everywhere("x.jsonl", "{\"prompt\":\"a\",\"completion\":\"\\u00e9\"}\n\n",
                    [](const std::string& path) { data::read_conversations(path); });
  attack_everywhere("x.jsonl", "{\"messages\":[{\"role\":\"assistant\",\"content\":\"b\"}]}",
                    [](const std::string& path) { data::read_conversations(path); });
  attack_everywhere("x.jsonl",
                    "{\"chosen\":\"\\n\\nAssistant:a\",\"rejected\":\"\\n\\nAssistant:b\"}",
                    [](const std::string& path) { data::read_preferences(path); });
}

TEST_CASE("a safetensors file of ours with fewer checksums than tensors") {
  const TemporaryFolder folder;
  safetensors::Header header;
  header.entries = {{"a", StoredType::f32, Shape{1}, 0, 4},
                    {"b", StoredType::f32, Shape{1}, 4, 8},
                    {"c", StoredType::f32, Shape{1}, 8, 12}};
  const std::string numbers(12, '\0');
  for (const std::string& sums : {std::string(), std::string("2144df1c"),
                                  std::string("2144df1c 2144df1c"), std::string("2144df1c ")}) {
    header.metadata[std::string(safetensors::kTensorSumsKey)] = sums;
    const std::string text = safetensors::header_text(header);
    const std::uint64_t length = text.size();
    const std::string path =
        folder.put("x", std::string(reinterpret_cast<const char*>(&length), 8) + text + numbers);
    const std::string message = message_of<IoError>([&] { load_safetensors(path); });
    CHECK_MESSAGE(says(message, "checksum"), sums << ": " << message);
  }
}

TEST_CASE("a model's description of its inputs, attacked everywhere") {
  const std::string columns =
      R"([{"name":"x","mean":0.5,"deviation":2.0},{"name":"y","levels":["a","b"],"shares":[0.5,0.5]}])";
  const std::string classes = R"({"column":"kind","names":["a","b"]})";
  int refused = 0;
  const auto attack_text = [&](const Metadata& metadata) {
    try {
      const auto format = data::ClassificationFormat::from_metadata(metadata, "model");
      CHECK(format.inputs.features() >= 0);
    } catch (const IoError&) {
      ++refused;
    } catch (const std::exception& error) {
      FAIL_CHECK("not an IoError: " << error.what());
    }
  };
  for (std::size_t i = 0; i < columns.size(); ++i) {
    for (const char byte : {'\0', '\xff', '"', '[', '9', '-', '{', ','}) {
      std::string changed = columns;
      changed[i] = byte;
      attack_text({{"classes", classes}, {"columns", changed}});
    }
    attack_text({{"classes", classes}, {"columns", columns.substr(0, i)}});
  }
  for (const char* text : {"1", "null", "{}", "[]", "[[]]", "[1]", "[{}]", "[null]", "\"x\"",
                           "[{\"name\":1}]", "1e999", "[4294967296,4294967296]",
                           "[9223372036854775807,2]", "[1e5,2]", "[-1,2]", "[0,2]", "[1,2,3]"}) {
    attack_text({{"classes", text}, {"columns", "[]"}});
    attack_text({{"classes", classes}, {"columns", text}});
    attack_text({{"classes", classes}, {"image", text}});
  }
  const std::string deep(1'000'000, '[');
  attack_text({{"classes", deep}, {"columns", "[]"}});
  attack_text({{"classes", classes}, {"columns", deep}});
  CHECK(refused > 500);
}

TEST_CASE("JSON that is sound, and nested a million deep") {
  const std::string deep = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  const auto refused = [](const std::function<void()>& read) {
    const std::string message = message_of<IoError>(read);
    CHECK_MESSAGE((!message.empty() && message.size() < 300), message);
  };
  const TemporaryFolder folder;
  const std::string line = R"({"prompt":"a","chosen":"b","rejected":"c","margin":)" + deep + "}";
  refused([&] { data::read_preferences(folder.put("x.jsonl", line)); });
  refused([&] { data::Tokenizer::from_json(R"({"vocab":{"a":)" + deep + "}}"); });
  refused([&] { trace::Trace::parse(R"({"format":)" + deep + "}", "trace"); });
  refused([&] {
    trace::Trace::parse(R"({"format":"retrace-trace","version":)" + deep + "}", "trace");
  });
  refused([&] { train::TransformerConfig::from_json(R"({"vocab_size":)" + deep + "}", "model"); });
  refused([&] { data::InputFormat::from_metadata({{"image", deep}}, "model"); });
}

TEST_CASE("what follows a NUL is not left out") {
  const TemporaryFolder folder;
  const std::string line = R"({"prompt":"a","completion":"b"})";
  const std::string path = folder.put("x.jsonl", line + std::string(1, '\0') + "x");
  const std::string message = message_of<IoError>([&] { data::read_conversations(path); });
  CHECK_MESSAGE(says(message, ":1: is not JSON from its byte 32 on"), message);
}

TEST_CASE("sizes of images are whole numbers") {
  for (const char* sizes : {"[1.5,2]", "[1e300,2]", "[2,-3]", "[2,true]", "[\"2\",2]", "{\"a\":2}"})
    CHECK_MESSAGE(!message_of<IoError>([&] {
                     data::InputFormat::from_metadata({{"image", sizes}}, "m");
                   }).empty(),
                  sizes);
}

TEST_CASE("names and values of a table come into messages as a short line") {
  const TemporaryFolder folder;
  const std::string name = "\"two\nlines" + std::string(2000, 'x') + '"';
  const std::string path = folder.put("x.csv", name + ",b\n1,2\n1,2\n");
  const auto check = [&](const std::function<void()>& read) {
    const std::string message = message_of<IoError>(read);
    CHECK_MESSAGE(says(message, "two linesx"), message);
    CHECK_MESSAGE((message.find('\n') == std::string::npos && message.size() < 500), message);
  };
  const data::Table table = data::read_csv(path);
  check([&] { static_cast<void>(table.column("no")); });
  check([&] { data::TableEncoder(table, {0, 1}, {"b"}); });
  check([&] { data::TargetScale(table, table.names[0], {0, 1}); });
  check([&] { data::ClassNames(table, table.names[0]); });
}

TEST_CASE("a class called -nan has its place among the others") {
  const TemporaryFolder folder;
  const std::string path = folder.put("x.csv", "y\n-nan\n2\n10\n-nan\n1\n");
  const data::Table table = data::read_csv(path, {.text_columns = {"y"}});
  CHECK(data::ClassNames(table, "y").names() == std::vector<std::string>{"-nan", "1", "10", "2"});
}

TEST_CASE("a small file cannot ask for a large model") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.safetensors";
  const auto refuses = [&](const StateDict& tensors, const Metadata& metadata, auto&& load) {
    save_safetensors(path, tensors, metadata);
    const std::string message = message_of<IoError>([&] { load(path); });
    CHECK_MESSAGE(message.starts_with(path), message);
  };
  const Metadata classifier = {{"classes", R"({"column":"y","names":["a","b"]})"},
                               {"columns", R"([{"name":"x","mean":0,"deviation":1}])"},
                               {"activation", "relu"}};
  const auto load_classifier = [](const auto& file) { train::Classifier::load(file); };
  refuses({{"mlp.layers.0.weight", zeros({1 << 30, 0})}}, classifier, load_classifier);
  refuses(
      {{"mlp.layers.0.weight", zeros({30'000, 1})}, {"mlp.layers.1.weight", zeros({30'000, 1})}},
      classifier, load_classifier);
  refuses({{"mlp.layers.0.weight", zeros({1, 30'000})}}, classifier, load_classifier);

  train::TransformerConfig config = {.vocab_size = 1};
  config.options.embed_dim = 2;
  config.options.heads = 1;
  const StateDict tokens = {{"transformer.tokens.weight", zeros({1, 2})}};
  const auto load_language_model = [](const auto& file) { train::load_language_model(file); };
  config.options.hidden = 1 << 30;
  refuses(tokens, {{"transformer", config.to_json()}}, load_language_model);
  config.options.hidden = 0;
  config.options.context = 1 << 30;
  refuses(tokens, {{"transformer", config.to_json()}}, load_language_model);
  config.options.positions = nn::Positions::sinusoidal;
  refuses(tokens, {{"transformer", config.to_json()}}, load_language_model);
}

TEST_CASE("paths that no file can have") {
  const std::string too_long = "/" + std::string(5000, 'x');
  for (const std::string& path : {too_long, std::string("/proc/self/mem/x"), std::string()}) {
    INFO(path.substr(0, 20));
    CHECK(!message_of<IoError>([&] { load_npy(path); }).empty());
    CHECK(!message_of<IoError>([&] { load_safetensors(path); }).empty());
    CHECK(!message_of<IoError>([&] { data::read_idx(path); }).empty());
    CHECK(!message_of<IoError>([&] { data::load_idx(path); }).empty());
    CHECK(!message_of<IoError>([&] { data::read_csv(path); }).empty());
    CHECK(!message_of<IoError>([&] { data::read_text(path); }).empty());
    CHECK(!message_of<IoError>([&] { save_npy(path, ones({1})); }).empty());
    CHECK(!message_of<IoError>([&] { save_safetensors(path, {{"x", ones({1})}}); }).empty());
    CHECK(!message_of<IoError>([&] { train::SavedModel{path}; }).empty());
    data::DataFiles files;
    files.train = path;
    files.target = "y";
    CHECK(!message_of<IoError>([&] { data::load_classification(files); }).empty());
  }
}

TEST_CASE("a table of commas is not taken for a million columns") {
  const TemporaryFolder folder;
  const std::string path = folder.put("x.csv", std::string(4 << 20, ','));
  const std::string message = message_of<IoError>([&] { data::read_csv(path, {.header = false}); });
  CHECK_MESSAGE(says(message, "columns"), message);
}
