-- Promises that the database leaves out the same words as the app: scripts/stop_words.py writes this file.

create table private.stop_words (
    word text primary key,
    constraint a_stop_word_is_one_word check (word ~ '^[^[:space:]]+$')
);
alter table private.stop_words enable row level security;
comment on table private.stop_words is
'Words that say nothing about what a video is about, as app/shorts/stopwords.txt has them.';
comment on column private.stop_words.word is 'Normalised: NFKC, without case.';

insert into private.stop_words (word)
select listed.word
from unnest(
    string_to_array(
        '4k about ada adalah after again agora akan aku al all also am amp an and anh any ao aos apa are aren as '
        'asmr at atau ate até audio aur back bagaimana banget be because been before being belum best between bhi '
        'bisa both bukan but by bà bạn can cho chị clip clips com como con could các có cũng của da dalam dan dari '
        'das day days de del dengan di dia did didn dimana do does doesn doing don done dos down during e each ek '
        'el ela elas ele eles ella em ep episode eps era es essa esse esta este está eu even ever every explore '
        'feat feed few first foi for foryou foryoupage from ft fue full fullhd fyp gaya gayi gen get getting go '
        'going gone got gì had hai hain hari has have having hd he her here hi him his ho hoje how họ if im in ini '
        'into is isn isso it its itu ive ja jadi juga just já ka kaise kalau kami kamu kapan karena ke kenapa khi '
        'không ki kita ko kya kyu kyun la lagi las last le les let like live ll lo los lyric lyrics là lại made '
        'mais make making mas may me mein mereka meu mi might mine minha mis more most muito music must mv my mà '
        'más một na nahi nahin nao nas ne never new nhiều như nhưng những no nor nos not now nya nào này não nó '
        'nếu of off official oleh on once one only or os other ou our out over own pada par para part part1 part2 '
        'pero phim por porque pov pra pro prod quando que quem quot ra re really reel reels rất saja sama same sao '
        'satu saya se see sem ser seu shall she short shorts shortsfeed shortsvideo shortsviral shortsyoutube '
        'shortvideo short쇼츠 shot should siapa sim sin so sobre some son still su sua subscribe such sudah sus são '
        'sẽ teaser tem tha than that the their them then there these they thi this those through thì tidak tiktok '
        'time to toda todas today todo todos toh tomorrow too top trailer trend trending trendingshorts trong tu '
        'two tôi tập từ uhd um uma umas un una unas under unos uns until untuk up us vai ve ver version very via '
        'video videos viral viralshorts viralvideo vlog voce você vocês vol vs và vào vì về với wait was wasn '
        'watch we were what when where which while who whom whose why will with without wo woh won would y ya yang '
        'ye yeh yet yo you your yours youtube youtubeshort youtubeshorts yt ytshort ytshorts él ông đang đâu đã '
        'được đến अब एक और कब कर करने का कि किया की के कैसे को क्या क्यों गई गया जो तो था थी थे नहीं ने पर बहुत भी '
        'में यह या ये लिए वह वो से ही हुआ है हैं हो กับ ของ จะ ที่ นี้ มี ว่า เป็น และ แล้ว ใน ให้ ได้ ไม่ あの ある '
        'あれ いる から くん けど ここ こと この これ された される さん した したら して している すぎた すぎる する そこ その それ たち ため だけ だった ちゃん った って でした です でも '
        'という ない など なる について ました ます ません まで まとめ もの よう ショート 予告 公式 切り抜き 動画 最新 本編 歌ってみた踊ってみた 特報 生配信 配信 가능 가장 가지 갑자기 강력 '
        '같다 같은 같이 거기 거의 것은 것을 것이 결과 결국 결정 계속 공개 공식 관한 구독 그거 그것 그게 그냥 그녀 그들 그래도 그래서 그러나 그런 그런데 그렇게 그리고 근데 금요일 까지 끝 '
        '나는 나를 난리 남성 남자 내가 내용 내일 너는 너를 너무 네가 누가 누구 누군가 뉴스 느낌 니가 다들 다시 다시보기 다음 단숨 당신 대망 대신 대한 대해 도전 동안 동영상 됐다 되는 되다 '
        '되면 되어 된다 됩니다 드디어 등장 따라 때문 때문에 또한 라고 라는 라방 라이브 레전드 마지막 만큼 많이 먼저 모두 모든 모습 모음 모음집 목요일 못한 무료 무슨 무언가 문제 미친 바로 '
        '발견 방법 방송 벌써 보는 보다 보면 본방 본인 봤다 부터 분석 사람 사람들 사실 사용 상대 상황 생각 생방송 서로 선공개 선택 세상 소름 쇼츠 숏 숏츠 숏폼 수요일 수준 순간 시간 시작 '
        '시절 실시간 실화 아니 아니다 아니라 아닌 아주 아직 않고 않는 않은 알고리즘 어디 어떤 어떻게 어제 언제 없는 없다 없어 없을 없음 에게 에서 여기 여러분 여성 여자 역대 역대급 역시 '
        '연속 열심 영상 예고 예고편 오늘 오랜만 완료 완벽 완전 왜 요즘 우리 월요일 위한 위해 유튜버 유튜브 으로 이거 이것 이게 이라고 이라는 이랑 이런 이렇게 이미 이번 이상 이야기 이유 '
        '인생 일요일 입니다 있나 있는 있다 있어 있을 있음 장면 재방송 저거 저것 저게 저기 저는 저런 저렇게 저희 전체 정도 정리 정말 제가 제일 조금 존재 좋아요 준비 중 중요 지금 직캠 진짜 '
        '차이 처럼 처음 총정리 최고 최근 최대 최악 최종 최초 최초공개 최후 추가 충격 충격적 친구 클립 토요일 통해 특별 티저 풀버전 필요 하고 하나 하는 하는데 하다 하루 하며 하면 하이라이트 '
        '하지만 한다 한다면 한마디 한테 함께 합니다 해도 해서 해야 했는데 했다 했던 했습니다 행동 현재 혼자 화요일 확인 회차',
        ' '
    )
) as listed (word);

create function private.says_nothing(keyword text)
returns boolean
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        length(keyword) < 2
        or not exists (
            select
            from string_to_table(keyword, ' ') as part (word)
            where
                not exists (
                    select
                    from private.stop_words as stop
                    where stop.word = part.word
                )
        )
$$;
comment on function private.says_nothing(text) is 'Whether a normalised keyword is one letter, or stop words only.';
