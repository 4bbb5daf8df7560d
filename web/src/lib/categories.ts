/** YouTube's categories that Shorts have, as private.video_category_names has them; the English name is what is stored. */
export const CATEGORIES: readonly { id: number; en: string; ko: string }[] = [
    { id: 24, en: "Entertainment", ko: "엔터테인먼트" },
    { id: 26, en: "Howto & Style", ko: "노하우/스타일" },
    { id: 10, en: "Music", ko: "음악" },
    { id: 22, en: "People & Blogs", ko: "인물/블로그" },
    { id: 23, en: "Comedy", ko: "코미디" },
    { id: 15, en: "Pets & Animals", ko: "반려동물/동물" },
    { id: 17, en: "Sports", ko: "스포츠" },
    { id: 20, en: "Gaming", ko: "게임" },
    { id: 19, en: "Travel & Events", ko: "여행/이벤트" },
    { id: 27, en: "Education", ko: "교육" },
    { id: 28, en: "Science & Technology", ko: "과학기술" },
    { id: 25, en: "News & Politics", ko: "뉴스/정치" },
    { id: 1, en: "Film & Animation", ko: "영화/애니메이션" },
    { id: 2, en: "Autos & Vehicles", ko: "자동차" },
];
