import type { Card, Found } from "./room.ts";

const MOST_WORDS = 5;
const LONGEST_QUERY = 100;

// What people say around what they look for.
const FILLING = new Set(
  `추천 추천해 추천해줘 추천해주세요 추천좀 보여줘 보여주세요 찾아줘 찾아주세요 알려줘 알려주세요 틀어줘 줘 주세요 해줘
  좀 더 또 다른 다시 뭐 뭘 무슨 어떤 있어 있어요 있나요 없어 없어요 볼만한 볼 볼까 보고 싶어 싶어요 싶은데 나 내가 나는 오늘
  지금 요즘 영상 영상들 동영상 비디오 쇼츠 숏츠 관련 관련된 대한 그리고 안녕 안녕하세요 고마워
  a an the and or of for to in on with about is are am i me my you your we it that this these those some any more other
  another again please hi hello hey thanks show find give get tell recommend suggest search look looking want need watch
  see like can could would do does what which who where when how today now new video videos short shorts clip clips
  something anything`.split(/\s+/),
);
// Only those that no noun ends with: search knows the rest.
const PARTICLES = /(?<=[가-힣]{2})(?:에서|으로|이랑|하고|까지|부터|을|를|은|는)$/u;

/** The language to answer in: Korean as soon as there is a Korean letter. */
export function languageOf(message: string): "ko" | "en" {
  return /\p{Script=Hangul}/u.test(message) ? "ko" : "en";
}

/** The words of `message` that say what is looked for, in their order. */
export function contentWords(message: string): string[] {
  const words = fold(message).split(" ").filter((word) => word && !FILLING.has(word));
  const bare = words.map((word) => word.replace(PARTICLES, "")).filter((word) => !FILLING.has(word));
  return [...new Set(bare)];
}

/** The letters, digits and single spaces of `text`, in one spelling. */
function fold(text: string): string {
  return text.normalize("NFKC").toLowerCase().replace(/[^\p{L}\p{M}\p{N}]+/gu, " ").trim();
}

/** What was searched for in the end, and the cards of it. */
export interface Finding {
  query: string;
  videos: Card[];
}

/**
 * The videos for `message`: of the whole message, else of its words together, else of each of them, where a video
 * that several words find comes first. A message like "more" stands for the newest of `earlier` that says something.
 */
export async function findVideos(
  message: string,
  earlier: string[],
  most: number,
  search: (query: string, limit: number) => Promise<Found>,
): Promise<Finding> {
  const said = [message, ...earlier.toReversed()].find((text) => contentWords(text).length > 0) ?? message;
  const words = contentWords(said).slice(0, MOST_WORDS);
  const phrases = [fold(said), words.join(" ")].filter((phrase) => phrase && phrase.length <= LONGEST_QUERY);
  for (const phrase of new Set(phrases)) {
    const { answered, videos } = await search(phrase, most);
    if (videos.length > 0) return { query: answered ?? phrase, videos };
  }
  const query = words.join(" ") || fold(said).slice(0, LONGEST_QUERY) || said.slice(0, LONGEST_QUERY);
  if (words.length < 2) return { query, videos: [] };
  const lists = await Promise.all(words.map((word) => search(word.slice(0, LONGEST_QUERY), most)));
  const places = new Map<string, { card: Card; words: number; place: number }>();
  for (const { videos } of lists) {
    for (const [place, card] of videos.entries()) {
      const known = places.get(card.video_id) ?? { card, words: 0, place };
      places.set(card.video_id, { card, words: known.words + 1, place: Math.min(known.place, place) });
    }
  }
  const ranked = [...places.values()].sort((one, other) => other.words - one.words || one.place - other.place);
  return { query, videos: ranked.slice(0, most).map(({ card }) => card) };
}

/** The answer that search itself gives, the same for the same finding. */
export function plainAnswer(language: "ko" | "en", { query, videos }: Finding): string {
  const [best] = videos;
  if (!best) {
    if (language === "ko") return `‘${query}’에 맞는 영상을 찾지 못했어요. 다른 낱말로 물어봐 주세요.`;
    return `I found no video for “${query}”. Please try other words.`;
  }
  const by = best.channel_name ? ` (${best.channel_name})` : "";
  const count = videos.length;
  if (language === "ko") return `‘${query}’ 영상을 ${count}개 찾았어요. 가장 잘 맞는 것은 ‘${best.title}’${by}이에요.`;
  return `I found ${count} ${count === 1 ? "video" : "videos"} for “${query}”. The best match is “${best.title}”${by}.`;
}
