/** What a card shows of a video; search and feed answer more of it each. */
export interface Video {
    video_id: string;
    title: string;
    channel_name: string | null;
    thumbnail_url: string | null;
    duration: number | null;
    view_count: number | null;
    published_at: string | null;
    category_id: number | null;
    quality_score: number | null;
}

export interface Found extends Video {
    highlights: [number, number][];
}

export interface SearchPage {
    query: string;
    how: "keyword" | "title" | "synonym" | "corrected" | "none" | string;
    answered: string | null;
    videos: Found[];
    facets: {
        categories: { category_id: number; name: string; videos: number }[];
        durations: { max_duration: number; videos: number }[];
    } | null;
    total: number;
    total_is_exact: boolean;
    next_cursor: string | null;
}

export interface Reason {
    reason: string;
    detail: string | null;
    video_id?: string;
    category_id?: number;
}

export interface Picked extends Video {
    why: Reason[];
    is_exploration: boolean;
}

export interface FeedPage {
    videos: Picked[];
    weights_version: string;
    next_cursor: string | null;
}

/** Pictures come from YouTube alone: the CSP lets no others in, and asking for them would only fill the console. */
export const thumbnail = ({ thumbnail_url: url }: Video) => (url?.startsWith("https://i.ytimg.com/") ? url : null);
