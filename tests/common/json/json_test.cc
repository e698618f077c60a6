#include "common/json/json.h"

#include <gtest/gtest.h>

#include <limits>

namespace shardmill {
namespace {

std::string WriteText(std::string_view text) { return JsonWriter().Text(text).Take(); }
std::string WriteNumber(double number) { return JsonWriter().Number(number).Take(); }

std::string WrongWith(std::string_view text) {
  const Result<JsonValue> json = ParseJson(text);
  return json.ok() ? "" : json.error().message;
}

TEST(JsonWriterTest, WritesObjectsAndListsOnOneLine) {
  JsonWriter json;
  json.BeginObject().Key("a").Whole(1).Key("b").BeginList().Flag(true).Null().BeginObject();
  json.EndObject().EndList().Key("c").Text("x").EndObject();
  EXPECT_EQ(json.Take(), R"({"a":1,"b":[true,null,{}],"c":"x"})");
}

TEST(JsonWriterTest, EscapesWhatTextMayNotHold) {
  EXPECT_EQ(WriteText("a\"b\\c\nd\te\x01\x7F"), R"("a\"b\\c\nd\te\u0001\u007f")");
  EXPECT_EQ(WriteText("\u00e4\u20ac\U0001F600"), "\"\u00e4\u20ac\U0001F600\"");
  EXPECT_EQ(WriteText("a\xFFz\xC3"), "\"a\uFFFDz\uFFFD\"");
  EXPECT_EQ(WriteText("\xED\xA0\x80"), "\"\uFFFD\uFFFD\uFFFD\"");
}

TEST(JsonWriterTest, WritesNumbersThatReadBackTheSame) {
  for (const double number : {0.0, 0.1, -1.5e-300, 1e300, 0.8312999963760376}) {
    const Result<JsonValue> json = ParseJson(WriteNumber(number));
    ASSERT_TRUE(json.ok());
    EXPECT_EQ(json.value().number, number);
  }
}

TEST(JsonWriterTest, WritesNullForNumbersThatAreNone) {
  EXPECT_EQ(WriteNumber(std::numeric_limits<double>::quiet_NaN()), "null");
  EXPECT_EQ(WriteNumber(-std::numeric_limits<double>::infinity()), "null");
}

TEST(JsonReaderTest, ReadsEveryKindOfValue) {
  const Result<JsonValue> json =
      ParseJson(R"( {"t": "a\u00e4\ud83d\ude00\n", "n": -1.5e1, "w": 18446744073709551615,
                    "l": [true, false, null, []], "o": {}} )");
  ASSERT_TRUE(json.ok()) << json.error().message;
  EXPECT_EQ(json.value().Find("t")->text, "a\u00e4\U0001F600\n");
  EXPECT_EQ(json.value().Find("n")->number, -15.0);
  EXPECT_FALSE(json.value().Find("n")->is_whole);
  EXPECT_TRUE(json.value().Find("w")->is_whole);
  EXPECT_EQ(json.value().Find("w")->whole, std::numeric_limits<uint64_t>::max());
  ASSERT_EQ(json.value().Find("l")->items.size(), 4U);
  EXPECT_TRUE(json.value().Find("l")->items[0].flag);
  EXPECT_EQ(json.value().Find("none"), nullptr);
}

TEST(JsonWriterTest, WritesAValueAsItWasRead) {
  constexpr const char* kText =
      R"({"a":[1,-2.5,true,null,{}],"b":"x\"y","c":18446744073709551615})";
  const Result<JsonValue> json = ParseJson(kText);
  ASSERT_TRUE(json.ok()) << json.error().message;
  EXPECT_EQ(JsonWriter().Value(json.value()).Take(), kText);
}

TEST(JsonReaderTest, RefusesWhatIsNoJson) {
  for (const char* text :
       {"",      " ",       "{",           "[1,]",   "{\"a\":1,}", "{a:1}",
        "01",    "1.",      "1e",          "+1",     "-",          "nul",
        "\"a",   "\"\\x\"", "\"\\ud800\"", "\"\n\"", "1 2",        "{\"a\":1 \"b\":2}",
        "1e999", "[1 2]",   "\"\\u12g4\""}) {
    EXPECT_NE(WrongWith(text), "") << text;
  }
}

TEST(JsonReaderTest, RefusesAKeyThatOccursTwice) {
  EXPECT_EQ(WrongWith(R"({"a":1,"a":2})"), "no JSON: at byte 10 a key occurs twice");
  // Both would be written as the same.
  EXPECT_EQ(WrongWith("{\"\xFF\":1,\"\uFFFD\":2}"), "no JSON: it is not UTF-8");
}

TEST(JsonReaderTest, RefusesWhatIsNestedTooDeepOrTooLong) {
  EXPECT_NE(WrongWith(std::string(100000, '[')).find("nested too deep"), std::string::npos);
  EXPECT_NE(WrongWith(std::string(kJsonBytesMax + 1, ' ')).find("longer"), std::string::npos);
}

}  // namespace
}  // namespace shardmill
